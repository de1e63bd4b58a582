// One matrix product under ggml's admissible arithmetics; MUL_MAT and MUL_MAT_ID are made of it.
#pragma once

#include <span>

#include "base/parallel.h"
#include "quant/matmul.h"
#include "replay/inputs.h"

namespace crossval {

// y[t, r] = x[t] . w[r] with its sigma; strides count floats.
struct Product {
  WeightView w;
  std::span<const float> w_norms;  // row_norms of w
  const float* x;
  int64_t x_stride, n_tokens;
  float* y;
  float* sigma;
  int64_t y_stride;
  // Sums in double, for floats only: between activations (queries and keys) large terms cancel, and
  // our f32 chains would err more than the engine does. Too slow for weights.
  bool in_double = false;
  bool before_rounding = false;  // of the weights, by their type
};

// The name of arithmetic number `variant` for weights of this format; null when there are no more.
// Activations meet the weights rounded to 8 bits as SIMD kernels do it, or as ggml's portable
// reference does it (another rounding of ties, another factor), or to half floats, or untouched
// (products by way of a BLAS or of llamafile's kernels).
const char* product_arithmetic(const Format& format, int variant);

void multiply(const Product& product, int variant, ThreadPool& pool);

}  // namespace crossval
