// Kernels for AVX-512 (F, BW, DQ, VL) without VNNI.
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quant/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(                                                    \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
    apply_to = function)
#else
#pragma GCC push_options
// gcc 12 sees its own _mm512_undefined_ps as a fault (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#endif

namespace crossval {
namespace avx512 {
namespace {

#include "quant/kernel_plain.h"
#include "quant/simd_avx512.h"
#include "quant/turn_avx2.h"

struct Simd : Avx512 {
  static constexpr bool kVnni = false;
  template <int kBits>
  static constexpr int int_tokens() {
    return kBits == 8 ? 6 : 8;
  }
};

#include "quant/kernel_simd.h"
#include "quant/kernel_simd_coded.h"
#include "quant/kernel_simd_sums.h"

}  // namespace
}  // namespace avx512

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const Kernels& avx512_kernels() {
  static const Kernels kernels = {.isa = Isa::avx512,
                                  .packs_avx2 = true,
                                  .int_kernel = avx512::int_kernel,
                                  .sum_kernel = avx512::sum_kernel,
                                  .float_kernel = avx512::float_kernel,
                                  .interleave_codes = avx512::turn_codes,
                                  .interleave_floats = avx512::turn_floats,
                                  .expand_codes = avx512::expand_codes,
                                  .coded_kernel = avx512::coded_kernel,
                                  .round_q8 = avx512::round_q8,
                                  .round_q8_k = avx512::round_q8_k};
  return kernels;
}

}  // namespace crossval
