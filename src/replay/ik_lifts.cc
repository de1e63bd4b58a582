// From ik_llama.cpp's ggml/src/iqk for AVX2: iqk_gemm_iqk_quants.cpp (`IQXKScales`, `accum_mins`,
// `iq234_k_accum_mins`), iqk_gemm_kquants.cpp (`mul_mat_q3_k_r4_q8_k`, `mul_mat_q6_k_r4_q8_k`),
// iqk_gemm_iquants.cpp (`mul_mat_iq2_s_r4_q8_k_16`, for 16 ids or more) and
// iqk_gemm_legacy_quants.cpp (`mul_mat_q5_0_r4_q8_2_avx2` and its like).
#include "replay/ik_lifts.h"

#include <algorithm>
#include <iterator>

namespace crossval {
namespace {

struct Lift {
  GgmlType type;
  int by;
};

constexpr Lift kLifts[] = {
    {GgmlType::Q6_0, 32},     {GgmlType::IQ2_K, 32},    {GgmlType::IQ3_K, 64},
    {GgmlType::IQ2_KS, 32},   {GgmlType::IQ2_KL, 64},   {GgmlType::IQ4_KSS, 128},
    {GgmlType::IQ5_KS, 128},  {GgmlType::Q4_0_R8, 8},   {GgmlType::Q5_0_R4, 16},
    {GgmlType::Q6_0_R4, 32},  {GgmlType::Q3_K_R4, 4},   {GgmlType::Q6_K_R4, 32},
    {GgmlType::IQ2_K_R4, 32}, {GgmlType::IQ3_K_R4, 64}, {GgmlType::IQ2_XS_R4, 64},
    {GgmlType::IQ2_S_R4, 64},
};

}  // namespace

int ik_lifts_by(GgmlType type) {
  const auto* const found = std::ranges::find(kLifts, type, &Lift::type);
  return found == std::end(kLifts) ? 0 : found->by;
}

}  // namespace crossval
