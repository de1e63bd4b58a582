// First-order rounding analysis for recurrences in f32: every rounding has a largest error, errors
// of different roundings are independent, so their squares add up (as variances do). But where a
// token comes again and again, a state that no longer changes is rounded the same way each time:
// there the errors themselves add up.
//
// Measured, largest ratio to the bound (tiny models of llama.cpp v0.5.0's architectures, weights of
// deviation 0.1 to 1, 24 ids and 3 decoded, or 200; CPU variants x64, sse42, haswell, zen4):
// SSM_SCAN 0.54 (0.15 where states do not grow), GATED_DELTA_NET 0.36, RWKV_WKV6 0.25, RWKV_WKV7
// 0.26, DSV4_HC_COMB 0.19, _PRE 0.22, _POST 0.26, LIGHTNING_INDEXER 0.12. One id 250 times: 0.23.
#pragma once

#include <algorithm>
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

// What is left of earlier errors, and those of this step.
inline double joined(double carried, double fresh, bool repeats) {
  return carried + fresh + (repeats ? 2 * std::sqrt(carried * fresh) : 0);
}

// Whether what a token feeds is that of the token before but for a few roundings.
template <typename Values>
bool are_alike(const Values& now, const Values& before) {
  double largest = 0, difference = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    largest = std::max(largest, std::fabs(double{now[i]}));
    difference = std::max(difference, std::fabs(double{now[i]} - before[i]));
  }
  return difference <= 0x1p-14 * largest;
}

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
