// Kernels for AVX2 + FMA + F16C.
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quant/kernels.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace crossval {
namespace avx2 {
namespace {

#include "quant/kernel_plain.h"
#include "quant/simd_avx2.h"
#include "quant/turn_avx2.h"

struct Simd : Avx2 {
  static constexpr bool kVnni = false;
  // Two vectors of rows by four tokens: 8 sums in int16, and as many registers for the rest.
  template <int kBits>
  static constexpr int int_tokens() {
    return 4;
  }
};

#include "quant/kernel_simd.h"
#include "quant/kernel_simd_coded.h"
#include "quant/kernel_simd_sums.h"

}  // namespace
}  // namespace avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const Kernels& avx2_kernels() {
  static const Kernels kernels = {.isa = Isa::avx2,
                                  .packs_avx2 = true,
                                  .int_kernel = avx2::int_kernel,
                                  .sum_kernel = avx2::sum_kernel,
                                  .float_kernel = avx2::float_kernel,
                                  .interleave_codes = avx2::turn_codes,
                                  .interleave_floats = avx2::turn_floats,
                                  .expand_codes = avx2::expand_codes,
                                  .coded_kernel = avx2::coded_kernel,
                                  .round_q8 = avx2::round_q8,
                                  .round_q8_k = avx2::round_q8_k};
  return kernels;
}

}  // namespace crossval
