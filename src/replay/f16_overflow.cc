#include "replay/f16_overflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "replay/replay.h"

namespace crossval {
namespace {

constexpr float kLargestF16 = 65504;
constexpr float kRoundsToInf = 65520;  // half a step beyond it

// Whether what the operation reads of its sources goes through f16.
bool goes_through_f16(const Tap& tap) {
  if (tap.out.type == GgmlType::F16) return true;
  if (tap.op == "MUL_MAT" || tap.op == "MUL_MAT_ID") {
    return !tap.sources.empty() && tap.sources[0].type == GgmlType::F16;
  }
  return tap.op == "FLASH_ATTN_EXT" && tap.sources.size() > 1 &&
         tap.sources[1].type == GgmlType::F16;
}

// Masks are made of a number far beyond f16 on purpose, so that it becomes Inf: of one magnitude.
// llama.cpp v0.5.0, src/models/minimax-m3.cpp: +-1e30.
bool is_mask(std::span<const float> values) {
  constexpr float kSmallestOfMasks = 1e9f;
  float magnitude = 0;
  for (const float value : values) {
    if (!std::isfinite(value) || std::abs(value) < kRoundsToInf) continue;
    if (magnitude != 0 && std::abs(value) != magnitude) return false;
    magnitude = std::abs(value);
  }
  return magnitude >= kSmallestOfMasks;
}

bool is_finite(const TapTensor& tensor) {
  const TapValues values(tensor);
  return std::ranges::all_of(values.get(), [](float value) { return std::isfinite(value); });
}

}  // namespace

std::optional<std::string> f16_overflow(const Tap& tap) {
  if (!goes_through_f16(tap)) return std::nullopt;
  for (const TapTensor& source : tap.sources) {
    if (source.is_weight || source.type != GgmlType::F32 || source.data.empty()) continue;
    float largest = 0;
    for (const float value : source.floats()) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
    if (largest < kRoundsToInf || is_finite(tap.out) || is_mask(source.floats())) continue;
    return fmt::format("{} reaches {:.3g}, f16 ends at {:g}: it becomes Inf", source.name, largest,
                       kLargestF16);
  }
  return std::nullopt;
}

}  // namespace crossval
