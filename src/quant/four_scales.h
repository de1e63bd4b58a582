// What meets IQ1_BN and IQ2_BN weights in ik_llama.cpp: activations rounded to 8 bits with four
// scales a row (its type Q8_K64), position j under scale (j mod 16) / 4. Each scale has its own
// integer sum over the whole row, and the four are joined last, so results are the engine's to the
// bit. IQ2_BN_R4 meets the same with runs of 16 positions instead of 4 (Q8_K16).
#pragma once

#include <cstdint>

#include "quant/kernels.h"

namespace crossval {

inline constexpr int kScales = 4;

// One token's scales, and d * sum of its codes, which is what the weights' offset of 1 takes away.
struct FourScales {
  float d[kScales];
  float minus[kScales];
};

// Rounds n activations (a multiple of 64) as ik_llama.cpp does (iqk_quantize.cpp
// `quantize_row_q8_K64_ref`, `quantize_row_q8_K16`): d = largest magnitude of the positions / 127,
// code = x * (1 / d) rounded half to even. Codes are written one scale after the other: [kScales][n
// / 4]. d of the sub blocks becomes 1, sums 0: sums stay integers. All NaN where a value is not
// finite. (Where 1 / d overflows the engine writes codes of -128; here they are 0, which is nearer
// to the truth.)
FourScales round_i8_four(const float* x, int64_t n, int run, int sub_len, const RoundedRow& out);

// Groups of 4 weights of a code panel of n weights, one scale's after the other's.
void sort_by_scale(const uint8_t* panel, int64_t n, int run, uint8_t* sorted);

// y[kPanelRows] from the sums of codes times activations under each scale
// (iqk_gemm_1bit.cpp `mul_mat_iq2bn_q8_K64`, without the row's own scale).
void join_scales(const float* const (&sums)[kScales], const FourScales& scales, float* y);

}  // namespace crossval
