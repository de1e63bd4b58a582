// y = x W^T for every weight format, in either arithmetic. Bit-identical for any number of
// threads, any split of the tokens over calls, and (same table of sums) any instruction set.
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "gguf/model_file.h"
#include "quant/activations.h"
#include "quant/formats.h"

namespace crossval {

// A weight matrix [n_rows, row_len] in its stored form (not copied).
struct WeightView {
  const Format* format = nullptr;
  // Blocks of the first row (of interleaved kinds: of the first rows); rows are row_bytes apart.
  const std::byte* data = nullptr;
  int64_t n_rows = 0, row_len = 0;
  int64_t row_bytes = 0;
  float tensor_scale = 1;  // where the format has one

  // Of formats of codes: n weights (whole blocks) of a row from `first` on, as Format::unpack,
  // whether rows are interleaved or not. A row scale that belongs into d is in it.
  void unpack(int64_t row, int64_t first, int64_t n, uint8_t* codes, float* d, float* m) const;
  // The scale stored for a row, or for the tensor; 1 where there is none. Indices are not checked.
  float row_scale(int64_t row) const;
  // Are results still to be multiplied with it?
  bool scales_results() const {
    return format->has_tensor_scale || (format->row_scale.n_bytes > 0 && !format->row_scale.in_d);
  }
  explicit operator bool() const { return data != nullptr; }
};

// Throws bad_input when the type has no format.
WeightView weight_view(const TensorView& tensor);

// y[t * y_stride + r] = sum_k x[t * x_stride + k] * W[r, k] for t < n_tokens, r < n_rows.
// exact: weights dequantised, f32 activations. ggml: activations rounded as ggml does for this
// weight type. A value of x or of a weight that is not finite makes the results it reaches not
// finite (NaN wherever activations are rounded to 8 bits).
void matmul(const WeightView& w, const float* x, int64_t x_stride, int64_t n_tokens, float* y,
            int64_t y_stride, Numerics numerics, ThreadPool& pool);

// The same on activations prepared once for several matrices; they must fit the format.
void matmul(const WeightView& w, const PreparedActivations& x, float* y, int64_t y_stride,
            ThreadPool& pool);

// One row of an embedding matrix, dequantised.
void get_row(const WeightView& w, int64_t row, float* out);

// First non-finite weight (a NaN or Inf value or scale) of a tensor, or -1: element index. Where a
// scale is not finite, the first weight of its block. Throws as weight_view does.
int64_t find_non_finite(const TensorView& tensor, ThreadPool& pool);

}  // namespace crossval
