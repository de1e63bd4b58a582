// First-order rounding analysis for recurrences in f32: every rounding has a largest error, errors
// of different roundings are independent, so their squares add up (as variances do).
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "replay/inputs.h"

namespace crossval {

inline double squared(double x) { return x * x; }

// The largest error of rounding x to f32, squared. 2^-150: half the smallest subnormal, which is
// all that is left of the relative error where a product underflows.
inline double rounding(double x) { return squared(kUnit32 * std::fabs(x) + 0x1p-150); }

// A sum of products, one added after the other: each product and each partial sum is rounded. SIMD
// code adds in several lanes, whose partial sums are smaller: its error is at most this.
class RoundedSum {
 public:
  void add(double term) {
    sum_ += term;
    variance_ += rounding(term) + rounding(sum_);
  }
  double sum() const { return sum_; }
  double variance() const { return variance_; }

 private:
  double sum_ = 0, variance_ = 0;
};

// inf - inf says nothing: then nothing is known of the error.
inline double sigma_of(double variance) {
  return std::isnan(variance) ? std::numeric_limits<double>::infinity() : std::sqrt(variance);
}

// Shapes come from workers: their products may not fit.
inline int64_t product_of(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    require_shape(factor >= 0 && !__builtin_mul_overflow(product, factor, &product),
                  "the shapes are too large");
  }
  return product;
}

}  // namespace crossval
