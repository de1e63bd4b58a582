// The element-wise and small dense kernels of the forward pass: run-time choice between AVX2 and a
// scalar reference that computes the very same operations in the same order, bit for bit.
#pragma once

#include <cstdint>

namespace crossval {

// out[i][lane] += sum_t a[i * a_stride + t] * b[t * b_stride + lane], lane < 16, one fma per term
// in the order of t, for i < n_rows. Strides in floats.
struct OuterArgs {
  int n_rows, n_terms;
  const float* a;
  int64_t a_stride;
  const float* b;
  int64_t b_stride;
  float* out;
  int64_t out_stride;
};
void accumulate_outer(const OuterArgs& args);

// y = x / sqrt(mean(x^2) + eps) * weight (1 where that is null); squares in f32, summed in double
// (ggml-cpu/ops.cpp `ggml_compute_forward_rms_norm_f32`).
void rms_norm_row(const float* x, const float* weight, int n, float eps, float* y);

// y = (x - mean) / sqrt(variance + eps) * weight (1 where that is null), sums in double
// (`ggml_compute_forward_norm_f32`).
void layer_norm_row(const float* x, const float* weight, int n, float eps, float* y);

// In place: exp(x - max) / sum, the sum in double. NaN anywhere makes the whole row NaN.
void softmax_row(float* x, int n);
// The same as if `sink` were one more value, whose share is left out.
void softmax_row_with_sink(float* x, int n, float sink);

// gate = gate / (1 + exp(-gate)) * up
void silu_multiply_row(const float* up, int n, float* gate);

// gate = max(gate, 0)^2 * up; NaN stays NaN.
void relu_squared_multiply_row(const float* up, int n, float* gate);

// sum += term
void add_row(const float* term, int n, float* sum);

// row *= factors, one for each element
void multiply_row(const float* factors, int n, float* row);

// row *= factor
void scale_row(float factor, int n, float* row);

// row = cap tanh(row / cap)
void soft_cap_row(float cap, int n, float* row);

// e^x within 2 units in the last place; overflow gives inf, underflow 0, NaN stays NaN.
void exp_row(float* x, int n);

namespace scalar {  // the references, for tests
void accumulate_outer(const OuterArgs& args);
void exp_row(float* x, int n);
}  // namespace scalar

}  // namespace crossval
