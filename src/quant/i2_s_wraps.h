// bitnet.cpp's AVX2 kernel for I2_S adds in int16 and can wrap: a true property of the reference,
// not of the model. This says where, from a file's codes (could any activations do it?) and from
// the activations of a run (did they?).
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "gguf/model_file.h"
#include "quant/matmul.h"

namespace crossval {

struct I2sSums {
  int64_t exact;   // sum of code * activation
  int64_t kernel;  // the same as the kernel adds it
  bool wrapped() const { return exact != kernel; }
};

// n codes (0 to 3) and activations of one row, n a multiple of 128. The kernel
// (microsoft/BitNet, src/ggml-bitnet-mad.cpp, `ggml_vec_dot_i2_i8_s`, AVX2) has 16 int16 sums: of
// each 128 weights, sum l takes those at 2 l and 2 l + 1 of every 32, for up to 4096 weights,
// before it moves them to int32.
I2sSums i2_s_sums(const uint8_t* codes, const int8_t* activations, int64_t n);

// The largest value that activations of +-127 can drive any of those int16 sums of a row to; above
// 32767 it wraps. `row` is stored in the x86 layout.
int32_t i2_s_worst_sum(const std::byte* row, int64_t n);

struct I2sWrapRisk {
  int64_t n_rows = 0;   // that could wrap
  int32_t largest = 0;  // i2_s_worst_sum of the worst one
};
I2sWrapRisk i2_s_wrap_risk(const TensorView& tensor, ThreadPool& pool);

struct I2sWraps {
  int64_t n_outputs = 0;  // of n_tokens * n_rows, those where the kernel's sum is not the true one
  int64_t token = -1, row = -1;  // the first of them
  I2sSums sums = {0, 0};         // of that one
};
// What the kernel makes of these activations (as for matmul(), not rounded yet). `w` is I2_S in
// the x86 layout. Plain loops: for a tap under suspicion, not for every one.
I2sWraps find_i2_s_wraps(const WeightView& w, const float* x, int64_t x_stride, int64_t n_tokens,
                         ThreadPool& pool);

}  // namespace crossval
