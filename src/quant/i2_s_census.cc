// Codes are counted in words of 32; the layout plays no part.
#include "quant/i2_s_census.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cmath>

#include "quant/format_rows.h"

namespace crossval {
namespace {

void count_word(uint64_t word, std::array<int64_t, 4>& n_codes) {
  constexpr uint64_t kLowBits = 0x5555555555555555u;
  const uint64_t low = word & kLowBits, high = word >> 1 & kLowBits;
  const int n_1 = std::popcount(low & ~high), n_2 = std::popcount(high & ~low);
  const int n_3 = std::popcount(low & high);
  n_codes[0] += 32 - n_1 - n_2 - n_3;
  n_codes[1] += n_1;
  n_codes[2] += n_2;
  n_codes[3] += n_3;
}

}  // namespace

std::string I2sCensus::damage() const {
  if (n_codes[3] > 0) {
    return fmt::format("{} weights have code 3, which stands for no weight", n_codes[3]);
  }
  if (!std::isfinite(scale)) return fmt::format("the scale is {}", scale);
  if (scale < 0) return fmt::format("the scale is negative: {}", scale);
  const bool all_zero = n_codes[0] == 0 && n_codes[2] == 0;
  if (scale == 0 && !all_zero) return "the scale is 0 beside weights that are not";
  return "";
}

I2sCensus count_i2_s(const TensorView& tensor, ThreadPool& pool) {
  assert(tensor.type == GgmlType::I2_S);
  const int64_t n_bytes = tensor.n_elements() / 4;
  assert(static_cast<int64_t>(tensor.data.size()) >= n_bytes + int64_t{sizeof(float)});
  std::atomic<int64_t> totals[4] = {};
  constexpr int64_t kItemBytes = int64_t{1} << 20;
  pool.run((n_bytes + kItemBytes - 1) / kItemBytes, [&](int64_t item, int) {
    std::array<int64_t, 4> n_codes = {};
    const int64_t end = std::min(n_bytes, (item + 1) * kItemBytes);
    int64_t at = item * kItemBytes;
    for (; at + 8 <= end; at += 8) count_word(load_as<uint64_t>(tensor.data.data() + at), n_codes);
    for (; at < end; ++at) {
      for (int bits = 0; bits < 8; bits += 2) {
        ++n_codes[static_cast<size_t>(tensor.data[static_cast<size_t>(at)] >> bits & std::byte{3})];
      }
    }
    for (size_t code = 0; code < 4; ++code) totals[code] += n_codes[code];
  });
  I2sCensus census;
  for (size_t code = 0; code < 4; ++code) census.n_codes[code] = totals[code];
  census.scale = load_as<float>(tensor.data.data() + n_bytes);
  return census;
}

I2sFlavour i2_s_flavour(int64_t n_weights, int64_t space) {
  const auto fits = [space](int64_t n_bytes) { return space >= n_bytes && space < n_bytes + 64; };
  const bool tensor_scale = fits(n_weights / 4 + 32);
  const bool inline_f16 = fits(n_weights / 32 * 10);
  if (tensor_scale == inline_f16) return I2sFlavour::unknown;
  return tensor_scale ? I2sFlavour::tensor_scale : I2sFlavour::inline_f16;
}

std::vector<std::pair<const TensorView*, I2sFlavour>> i2_s_flavours(const ModelFile& model) {
  std::vector<const TensorView*> tensors;  // as they lie in the files
  for (const TensorView& tensor : model.tensors()) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const TensorView* tensor) {
    return std::pair(tensor->part, tensor->file_offset);
  });
  std::vector<std::pair<const TensorView*, I2sFlavour>> flavours;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = *tensors[i];
    if (tensor.type != GgmlType::I2_S) continue;
    const TensorView* next = i + 1 < tensors.size() ? tensors[i + 1] : nullptr;
    const bool known = next != nullptr && next->part == tensor.part;
    const int64_t space = known ? static_cast<int64_t>(next->file_offset - tensor.file_offset) : 0;
    flavours.emplace_back(&tensor, i2_s_flavour(tensor.n_elements(), space));
  }
  return flavours;
}

}  // namespace crossval
