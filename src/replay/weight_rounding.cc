// A type of b bits a weight errs by 1.6 * 2^-b of a block's root mean square: 6 dB for each bit,
// the most that a quantiser can do, and what ggml's are near to. Measured on Gaussian weights: Q8_0
// 0.0055 (the rule says 0.0044), Q6_K 0.016 (0.017), Q5_K 0.034 (0.035), Q4_K 0.07 (0.07), Q3_K
// 0.14 (0.15), Q2_K 0.27 (0.26). Blocks with an outlier err by more: a step is the largest value's
// share, so an error is at least that of evenly spaced steps up to it.
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
  return static_cast<float>(1.6 * std::exp2(-bits));
}

}  // namespace

void weight_errors(const Format& format, const float* row, int64_t n, float* errors) {
  if (format.sub_block_len == 0) {
    const double unit = format.type == GgmlType::F16    ? kUnit16
                        : format.type == GgmlType::BF16 ? kUnitBf16
                                                        : 0;
    for (int64_t i = 0; i < n; ++i) errors[i] = static_cast<float>(0.6 * unit) * std::fabs(row[i]);
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
