#include "native/compressor.h"

#include <algorithm>
#include <limits>

#include "native/vector_math.h"

namespace crossval {

bool Compressor::add(int position, int ratio, bool overlaps, int head_len, const float* values,
                     const float* scores, float* out) {
  const int n_rows = overlaps ? 2 * ratio : ratio, width = overlaps ? 2 * head_len : head_len;
  const auto size = static_cast<size_t>(n_rows) * static_cast<size_t>(width);
  values_.resize(size);
  scores_.resize(size);
  const auto at = [&](int of_position) {
    return static_cast<ptrdiff_t>(of_position % n_rows) * width;
  };
  std::copy_n(values, width, values_.begin() + at(position));
  std::copy_n(scores, width, scores_.begin() + at(position));
  if ((position + 1) % ratio != 0) return false;
  std::vector<float> weights(static_cast<size_t>(n_rows));
  const int first = position + 1 - n_rows;
  for (int i = 0; i < head_len; ++i) {
    const auto element = [&](int row) {
      const bool is_own = overlaps && row >= ratio;
      return static_cast<size_t>(at(first + row)) + static_cast<size_t>(is_own ? head_len + i : i);
    };
    // Before the first block there is nothing.
    const int n_missing = std::max(0, -first);
    for (int row = 0; row < n_rows; ++row) {
      weights[static_cast<size_t>(row)] =
          row < n_missing ? -std::numeric_limits<float>::infinity() : scores_[element(row)];
    }
    softmax_row(weights.data(), n_rows);
    double sum = 0;
    for (int row = n_missing; row < n_rows; ++row) {
      sum += double{weights[static_cast<size_t>(row)] * values_[element(row)]};
    }
    out[i] = static_cast<float>(sum);
  }
  return true;
}

}  // namespace crossval
