// A type of b bits a weight errs by some 2^-b of a block's root mean square: 6 dB for each bit.
// Blocks with an outlier err by more: a step is the largest value's share, so an error is at least
// that of evenly spaced steps up to it. 2.2 of that: measured on random models of
// three architectures, the largest error over its bound was, with 1.6: Q8_0 0.90, Q5_1 1.12, Q4_0
// 0.78, F16 0.55, BF16 0.61. A weight of another layer is off by some hundreds of it in Q8_0, by
// tens in Q4_0.
#include "replay/weight_rounding.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "replay/inputs.h"

namespace crossval {
namespace {

constexpr int kBlock = 32;

float relative_error(const Format& format) {
  const double bits = 8.0 * format.block_bytes / format.block_len;
  return static_cast<float>(2.2 * std::exp2(-bits));
}

}  // namespace

void weight_errors(const Format& format, const float* row, int64_t n, float* errors) {
  if (format.sub_block_len == 0) {
    const double unit = format.type == GgmlType::F16    ? kUnit16
                        : format.type == GgmlType::BF16 ? kUnitBf16
                                                        : 0;
    const float smallest = format.type == GgmlType::F16 ? 0x1p-14f : 0x1p-126f;
    for (int64_t i = 0; i < n; ++i) {
      errors[i] = static_cast<float>(0.6 * unit) * std::max(std::fabs(row[i]), smallest);
    }
    return;
  }
  const float relative = relative_error(format);
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t end = std::min<int64_t>(n, first + kBlock);
    float squares = 0, largest = 0;
    for (int64_t i = first; i < end; ++i) {
      squares += row[i] * row[i];
      largest = std::max(largest, std::fabs(row[i]));
    }
    // 2.2: the largest of 32 Gaussian values, in root mean squares.
    const float rms = std::sqrt(squares / static_cast<float>(end - first));
    std::fill(errors + first, errors + end, relative * std::max(rms, largest / 2.2f));
  }
}

void add_weight_rounding(const Product& p, ThreadPool& pool) {
  pool.run(p.w.n_rows, [&](int64_t r, int) {
    thread_local std::vector<float> row, errors;
    const int64_t n = p.w.row_len;
    row.resize(static_cast<size_t>(n));
    errors.resize(static_cast<size_t>(n));
    get_row(p.w, r, row.data());
    weight_errors(*p.w.format, row.data(), n, errors.data());
    for (int64_t t = 0; t < p.n_tokens; ++t) {
      const float* x = p.x + t * p.x_stride;
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double term = double{errors[static_cast<size_t>(i)]} * x[i];
        squares += term * term;
      }
      p.sigma[t * p.y_stride + r] += static_cast<float>(std::sqrt(squares));
    }
  });
}

}  // namespace crossval
