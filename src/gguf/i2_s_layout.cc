// Layouts: microsoft/BitNet main (July 2026), src/ggml-bitnet-mad.cpp `quantize_i2_s`, one branch
// per build option; EffortlessMetrics/BitNet-rs, crates/bitnet-models/src/formats/gguf/types.rs
// `detect_i2s_flavor`.
#include "gguf/i2_s_layout.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "base/bytes.h"

namespace crossval {
namespace {

constexpr std::array kLayouts = {
    I2sLayoutInfo{I2sLayout::x86, "x86", "tensor_scale",
                  "bitnet.cpp on x86 (Oct 2024, or built with ACT_PARALLEL): 128 weights of a row "
                  "in 32 bytes, 32 apart; one f32 scale behind the tensor",
                  128, 1},
    I2sLayoutInfo{I2sLayout::arm, "arm", "tensor_scale",
                  "bitnet.cpp on ARM: 64 weights of a row in 16 bytes, 16 apart; one f32 scale "
                  "behind the tensor",
                  64, 1},
    I2sLayoutInfo{I2sLayout::rows4, "rows4", "tensor_scale",
                  "newer bitnet.cpp on x86 without ACT_PARALLEL: one column of 4 rows in a byte; "
                  "one f32 scale behind the tensor",
                  128, 4},
    I2sLayoutInfo{I2sLayout::bitnet32, "bitnet32", "inline_f16",
                  "BitNet-rs BitNet32-F16: 32 weights in 8 bytes and their f16 scale", 32, 1},
    I2sLayoutInfo{I2sLayout::bitnet32_split, "bitnet32-split", "no_scale",
                  "BitNet-rs BitNet32-F16 with its f16 scales in a tensor beside", 32, 1},
    I2sLayoutInfo{I2sLayout::qk256, "qk256", "no_scale",
                  "BitNet-rs QK256: 256 weights in 64 bytes, no scale", 32, 1},
};

constexpr int64_t kTensorScaleBytes = 32;  // one f32 and padding

bool fits(I2sLayout layout, const I2sRoom& room, uint32_t alignment) {
  const auto needed = static_cast<uint64_t>(i2_s_bytes(layout, room.shape));
  return room.n_bytes >= needed && room.n_bytes - needed < alignment;
}

}  // namespace

std::span<const I2sLayoutInfo> i2_s_layouts() { return kLayouts; }

const I2sLayoutInfo& i2_s_layout_info(I2sLayout layout) {
  return *std::ranges::find(kLayouts, layout, &I2sLayoutInfo::layout);
}

const I2sLayoutInfo* find_i2_s_layout(std::string_view name) {
  const auto it = std::ranges::find(kLayouts, name, &I2sLayoutInfo::name);
  return it == kLayouts.end() ? nullptr : &*it;
}

int64_t i2_s_bytes(I2sLayout layout, std::span<const int64_t> shape) {
  int64_t n = 1;
  for (const int64_t dim : shape) n *= dim;
  switch (layout) {
    case I2sLayout::x86:
    case I2sLayout::arm:
    case I2sLayout::rows4:
      return n / 4 + kTensorScaleBytes;
    case I2sLayout::bitnet32:
      return n / 32 * 10;
    case I2sLayout::bitnet32_split:
      return n / 4;
    case I2sLayout::qk256: {  // a row's last block is stored whole
      if (shape.empty() || shape[0] == 0) return 0;
      const int64_t n_blocks = shape[0] / 256 + (shape[0] % 256 != 0 ? 1 : 0);
      return checked_mul(n / shape[0], n_blocks * 64).value_or(INT64_MAX);
    }
  }
  assert(false);
  return 0;
}

std::optional<I2sLayout> i2_s_layout_by_size(std::span<const I2sRoom> rooms, uint32_t alignment) {
  const I2sLayoutInfo* found = nullptr;
  for (const I2sLayoutInfo& info : kLayouts) {
    if (found != nullptr && found->size_class == info.size_class &&
        info.layout != I2sLayout::qk256) {
      continue;
    }
    if (!std::ranges::all_of(
            rooms, [&](const I2sRoom& room) { return fits(info.layout, room, alignment); })) {
      continue;
    }
    // Scales beside or none: the same size, which ModelFile tells apart by the tensors beside.
    const bool beside = found != nullptr && found->size_class == info.size_class;
    if (found != nullptr && !beside) return std::nullopt;
    found = &info;
  }
  return found == nullptr ? std::nullopt : std::optional(found->layout);
}

// Byte c of a group of 4 rows: column c of row 0 in its highest bits, of row 3 in its lowest.
std::vector<std::byte> i2_s_rows4_to_x86(std::span<const std::byte> data, int64_t row_len,
                                         int64_t n_rows) {
  assert(row_len % 128 == 0 && n_rows % 4 == 0);
  assert(static_cast<int64_t>(data.size()) >= row_len * n_rows / 4);
  std::vector<std::byte> out(data.begin(), data.end());  // with what is behind the codes
  const int64_t row_bytes = row_len / 4;
  for (int64_t row = 0; row < n_rows; ++row) {
    const std::byte* columns = data.data() + row / 4 * row_len;
    const auto shift = static_cast<unsigned>(6 - 2 * (row % 4));
    for (int64_t at = 0; at < row_bytes; ++at) {
      const std::byte* first = columns + at / 32 * 128 + at % 32;
      unsigned packed = 0;
      for (int j = 0; j < 4; ++j) {
        packed = packed << 2 | (static_cast<unsigned>(first[32 * j]) >> shift & 3u);
      }
      out[static_cast<size_t>(row * row_bytes + at)] = static_cast<std::byte>(packed);
    }
  }
  return out;
}

std::vector<std::byte> i2_s_join_scales(std::span<const std::byte> codes,
                                        std::span<const std::byte> scales) {
  assert(codes.size() / 8 == scales.size() / 2);
  std::vector<std::byte> out(codes.size() / 8 * 10);
  for (size_t block = 0; block < codes.size() / 8; ++block) {
    std::memcpy(&out[10 * block], &codes[8 * block], 8);
    std::memcpy(&out[10 * block + 8], &scales[2 * block], 2);
  }
  return out;
}

}  // namespace crossval
