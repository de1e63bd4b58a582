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
  if (layout == I2sLayout::bitnet32 || layout == I2sLayout::qk256) return "";
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
  I2sCensus census;
  census.layout = tensor.i2_s_layout;
  const int64_t n = tensor.n_elements();
  const bool has_scale = census.layout == I2sLayout::x86 || census.layout == I2sLayout::arm;
  assert(!has_scale || static_cast<int64_t>(tensor.data.size()) >= n / 4 + int64_t{sizeof(float)});
  std::atomic<int64_t> totals[4] = {};
  // Codes lie in one piece, in rows with padding, or in blocks with their scales.
  const int64_t piece_len = has_scale                              ? n
                            : census.layout == I2sLayout::bitnet32 ? 32
                                                                   : tensor.shape[0];
  const int64_t piece_bytes = piece_len / 4;
  const int64_t stride = has_scale                              ? piece_bytes
                         : census.layout == I2sLayout::bitnet32 ? 10
                                                                : (piece_len + 255) / 256 * 64;
  const int64_t n_pieces = n == 0 ? 0 : n / piece_len;
  constexpr int64_t kItemBytes = int64_t{1} << 20;
  const int64_t cuts = std::max<int64_t>(1, (piece_bytes + kItemBytes - 1) / kItemBytes);
  const int64_t pieces_per_item = std::max<int64_t>(1, kItemBytes / std::max<int64_t>(1, stride));
  const int64_t n_items = (n_pieces + pieces_per_item - 1) / pieces_per_item * cuts;
  pool.run(n_items, [&](int64_t item, int) {
    std::array<int64_t, 4> n_codes = {};
    const int64_t first = item / cuts * pieces_per_item;
    for (int64_t p = first; p < std::min(n_pieces, first + pieces_per_item); ++p) {
      const std::byte* piece = tensor.data.data() + p * stride;
      const int64_t end =
          cuts == 1 ? piece_bytes : std::min(piece_bytes, (item % cuts + 1) * kItemBytes);
      int64_t at = item % cuts * kItemBytes;
      for (; at + 8 <= end; at += 8) count_word(load_as<uint64_t>(piece + at), n_codes);
      for (; at < end; ++at) {
        for (int bits = 0; bits < 8; bits += 2) {
          ++n_codes[static_cast<size_t>(piece[at] >> bits & std::byte{3})];
        }
      }
    }
    for (size_t code = 0; code < 4; ++code) totals[code] += n_codes[code];
  });
  for (size_t code = 0; code < 4; ++code) census.n_codes[code] = totals[code];
  census.scale = has_scale ? load_as<float>(tensor.data.data() + n / 4) : 1.0f;
  return census;
}

}  // namespace crossval
