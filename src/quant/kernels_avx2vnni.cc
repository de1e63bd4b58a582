// Kernels for AVX2 with AVX-VNNI (u8 x s8 dot products of 4 into int32, 256-bit VEX form).
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quant/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")
#endif

namespace crossval {
namespace avx2vnni {
namespace {

#include "quant/kernel_plain.h"
#include "quant/simd_avx2.h"
#include "quant/turn_avx2.h"

struct Simd : Avx2 {
  static constexpr bool kVnni = true;
  template <int kBits>
  static constexpr int int_tokens() {
    return 4;
  }
  static I dpbusd(I sum, I codes, I a) { return _mm256_dpbusd_avx_epi32(sum, codes, a); }
};

#include "quant/kernel_simd.h"
#include "quant/kernel_simd_coded.h"
#include "quant/kernel_simd_sums.h"

}  // namespace
}  // namespace avx2vnni

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const Kernels& avx2vnni_kernels() {
  static const Kernels kernels = {.isa = Isa::avx2vnni,
                                  .packs_avx2 = true,
                                  .int_kernel = avx2vnni::int_kernel,
                                  .sum_kernel = avx2vnni::sum_kernel,
                                  .float_kernel = avx2vnni::float_kernel,
                                  .interleave_codes = avx2vnni::turn_codes,
                                  .interleave_floats = avx2vnni::turn_floats,
                                  .expand_codes = avx2vnni::expand_codes,
                                  .coded_kernel = avx2vnni::coded_kernel,
                                  .round_q8 = avx2vnni::round_q8,
                                  .round_q8_k = avx2vnni::round_q8_k};
  return kernels;
}

}  // namespace crossval
