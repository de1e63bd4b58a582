// What formats with one scale for the whole tensor or for a row need around the shared integer
// kernels (bitnet.cpp's I2_S): activations rounded with one scale a row, and sums turned into
// results.
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "quant/kernels.h"
#include "quant/matmul.h"

namespace crossval {

// Rounds n activations as bitnet.cpp does (ggml-bitnet-mad.cpp,
// `quantize_row_i8_s`): m = max(1e-5, largest magnitude) in double, s = 127 / m as float,
// code = x * s rounded half to even, within [-128, 127]. Gives the codes' sum and s; NaN where a
// value is not finite, which later makes every result of the row NaN.
float round_i8_row(const float* x, int64_t n, int8_t* codes, int32_t& sum);

namespace scalar {  // the reference, for tests
float round_i8_row(const float* x, int64_t n, int8_t* codes, int32_t& sum);
}

// y holds the sums of x times unscaled weights: y = y / row scale of x * scale of w (both roundings
// in that order, as bitnet.cpp), or y * scale of w where activations have no such scale. The
// integer sums are exact in f32 up to 2^24, so for rows of at most 43,690 weights whatever the
// codes.
void apply_weight_scale(const WeightView& w, const PreparedActivations& x, float* y,
                        int64_t y_stride, ThreadPool& pool);

}  // namespace crossval
