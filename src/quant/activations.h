// Activations made ready for a matmul: as they are (exact), rounded to a 16-bit float, or to 8-bit
// codes with their scales, once per set of tokens. Matrices that share an input (q, k, v; gate and
// up) share the result where it fits().
#pragma once

#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "quant/formats.h"
#include "quant/four_scales.h"

namespace crossval {

enum class Numerics { exact, ggml };

struct PreparedActivations {
  int64_t n_tokens = 0, row_len = 0;

  // What the rounding depended on; F32 under exact numerics.
  ActivationType type = ActivationType::F32;
  int sub_block_len = 0, offset = 0;

  // Floats: [n_tokens][x_stride], the caller's own memory or `values`.
  const float* x = nullptr;
  int64_t x_stride = 0;
  std::vector<float> values;

  // Codes: [n_tokens][row_len], with four scales a row sorted by them; the others [n_sub][n_tokens]
  // (kernels.h, IntArgs).
  int64_t n_sub = 0;
  std::vector<int8_t> codes;
  std::vector<float> d, s;
  std::vector<int32_t> sums;
  // [n_tokens], I8_ROW alone (which has no d, s and sums): a value is code / row_scale; offset *
  // the sum of all codes.
  std::vector<float> row_scales;
  std::vector<int32_t> row_sums;
  std::vector<FourScales> four_scales;  // [n_tokens], where rows have them

  // Can it be multiplied with weights of this format, under these numerics?
  bool fits(const Format& format, Numerics numerics) const;
};

// `out` keeps its memory from call to call. Where nothing is rounded it refers to `x`, which must
// live as long. row_len must be a whole number of the format's blocks.
void prepare_activations(const float* x, int64_t x_stride, int64_t n_tokens, int64_t row_len,
                         const Format& format, Numerics numerics, PreparedActivations& out,
                         ThreadPool& pool);

}  // namespace crossval
