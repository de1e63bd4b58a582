#include "replay/block_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "quant/matmul.h"

namespace crossval {
namespace {

// The blocks of both, one after another: rows without anything beside them.
class Blocks {
 public:
  Blocks(const TensorView& tensor, const TypeInfo& type)
      : data_(tensor.data), size_(static_cast<size_t>(type.block_bytes)) {}
  int64_t count() const { return static_cast<int64_t>(data_.size() / size_); }
  std::span<const std::byte> operator[](int64_t block) const {
    return data_.subspan(static_cast<size_t>(block) * size_, size_);
  }

 private:
  std::span<const std::byte> data_;
  size_t size_;
};

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

std::optional<WeightDifference> find_zeros(const Blocks& ours, const Blocks& theirs) {
  int64_t first = -1, n_zero = 0;
  for (int64_t b = 0; b < ours.count(); ++b) {
    if (std::ranges::equal(ours[b], theirs[b])) continue;
    if (!is_zero(theirs[b])) return std::nullopt;
    if (first < 0) first = b;
    ++n_zero;
  }
  if (n_zero < 2) return std::nullopt;
  const bool to_the_end = first + n_zero >= ours.count();
  return WeightDifference{
      .cause = Cause::zero_blocks,
      .text = to_the_end ? fmt::format("it is zero from block {} of {} on", first, ours.count())
                         : fmt::format("{} of its {} blocks are zero, the first is block {}",
                                       n_zero, ours.count(), first)};
}

// The bytes of a block that ever differ hold, in every block, what they hold in ours one block
// further on or back.
std::optional<WeightDifference> find_shift(const Blocks& ours, const Blocks& theirs) {
  const size_t n_bytes = ours[0].size();
  const int64_t n = ours.count();
  std::vector<bool> differs(n_bytes);
  for (int64_t b = 0; b < n; ++b) {
    for (size_t i = 0; i < n_bytes; ++i) {
      if (ours[b][i] != theirs[b][i]) differs[i] = true;
    }
  }
  const auto n_differing = std::ranges::count(differs, true);
  // Scales are the smaller part of a block; a tensor moved as a whole is something else.
  if (n < 4 || n_differing == 0 || 2 * n_differing > static_cast<std::ptrdiff_t>(n_bytes)) {
    return std::nullopt;
  }
  for (const int64_t step : {int64_t{-1}, int64_t{1}}) {
    bool fits = true;
    for (int64_t b = 1; fits && b + 1 < n; ++b) {
      for (size_t i = 0; fits && i < n_bytes; ++i) {
        fits = !differs[i] || theirs[b][i] == ours[b + step][i];
      }
    }
    if (!fits) continue;
    return WeightDifference{.cause = Cause::scales_shifted,
                            .text = fmt::format("each block has the scale of the block {} it",
                                                step < 0 ? "before" : "after")};
  }
  return std::nullopt;
}

// Each block stands for the same numbers, in another order.
std::optional<WeightDifference> find_order(const WeightView& ours, const WeightView& theirs,
                                           int block_len) {
  constexpr int64_t max_rows = 256;  // a few tell
  std::vector<float> a(static_cast<size_t>(ours.row_len)), b(a.size());
  const int half = block_len / 2;
  bool to_pairs = true, to_halves = true;
  const int64_t step = std::max<int64_t>(1, ours.n_rows / max_rows);
  for (int64_t row = 0; row < ours.n_rows; row += step) {
    get_row(ours, row, a.data());
    get_row(theirs, row, b.data());
    for (int64_t at = 0; at < ours.row_len; at += block_len) {
      float *x = a.data() + at, *y = b.data() + at;
      for (int i = 0; i < block_len && (to_pairs || to_halves); ++i) {
        to_pairs = to_pairs && y[i] == x[(i % 2) * half + i / 2];
        to_halves = to_halves && y[i] == x[(i % half) * 2 + i / half];
      }
      std::sort(x, x + block_len);
      std::sort(y, y + block_len);
      if (!std::equal(x, x + block_len, y)) return std::nullopt;
    }
  }
  WeightDifference found{.cause = Cause::codes_permuted,
                         .text = "the codes inside each block are in another order"};
  if (to_pairs) found.text += ": its halves are read as adjacent pairs (nibble order)";
  if (to_halves && !to_pairs)
    found.text += ": its adjacent pairs are read as halves (nibble order)";
  return found;
}

}  // namespace

std::optional<WeightDifference> describe_blocks(const TensorView& ours, const TensorView& theirs) {
  const TypeInfo* type = find_type(ours.type);
  if (type == nullptr || ours.type != theirs.type || ours.i2_s_layout != theirs.i2_s_layout ||
      ours.data.size() != theirs.data.size() || type->block_len < 2 || type->row_extra_bytes > 0 ||
      type->tensor_extra_bytes > 0 || ours.data.size() < static_cast<size_t>(type->block_bytes)) {
    return std::nullopt;
  }
  const Blocks a(ours, *type), b(theirs, *type);
  if (auto zeros = find_zeros(a, b)) return zeros;
  if (auto shifted = find_shift(a, b)) return shifted;
  return find_order(weight_view(ours), weight_view(theirs), type->block_len);
}

}  // namespace crossval
