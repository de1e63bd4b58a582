// Kernels for AVX-512 (F, BW, DQ, VL) with VNNI.
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quant/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(                                                               \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#else
#pragma GCC push_options
// gcc 12 sees its own _mm512_undefined_ps as a fault (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

namespace crossval {
namespace avx512vnni {
namespace {

#include "quant/kernel_plain.h"
#include "quant/simd_avx512.h"
#include "quant/turn_avx2.h"

struct Simd : Avx512 {
  static constexpr bool kVnni = true;
  template <int kBits>
  static constexpr int int_tokens() {
    return 12;
  }
  static I dpbusd(I sum, I codes, I a) { return _mm512_dpbusd_epi32(sum, codes, a); }
};

#include "quant/kernel_simd.h"
#include "quant/kernel_simd_coded.h"
#include "quant/kernel_simd_sums.h"

}  // namespace
}  // namespace avx512vnni

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const Kernels& avx512vnni_kernels() {
  static const Kernels kernels = {.isa = Isa::avx512vnni,
                                  .packs_avx2 = true,
                                  .int_kernel = avx512vnni::int_kernel,
                                  .sum_kernel = avx512vnni::sum_kernel,
                                  .float_kernel = avx512vnni::float_kernel,
                                  .interleave_codes = avx512vnni::turn_codes,
                                  .interleave_floats = avx512vnni::turn_floats,
                                  .expand_codes = avx512vnni::expand_codes,
                                  .coded_kernel = avx512vnni::coded_kernel,
                                  .round_q8 = avx512vnni::round_q8,
                                  .round_q8_k = avx512vnni::round_q8_k};
  return kernels;
}

}  // namespace crossval
