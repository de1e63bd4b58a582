// The reference kernels: the sums of kernels.h written down plainly. Every other table must give
// these bits (kernels_test.cc, and the self-test of isa.cc on each machine).
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "quant/kernels.h"

namespace crossval {
namespace scalar {
namespace {

#include "quant/kernel_plain.h"

template <int kSubLen, bool kHasMin>
void int_kernel_of(const IntArgs& args) {
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const int8_t* a = args.a + t * args.a_stride;
    float* y = args.y + t * args.y_stride;
    for (int r = 0; r < kPanelRows; ++r) {
      float acc = args.first ? 0.0f : y[r];
      for (int64_t sub = 0; sub < args.n_sub; ++sub) {
        int32_t sum = -args.sums[sub * args.sub_stride + t];
        for (int64_t k = sub * kSubLen; k < (sub + 1) * kSubLen; ++k) {
          sum += int32_t{args.codes[(k / 4 * kPanelRows + r) * 4 + k % 4]} * int32_t{a[k]};
        }
        const float d = args.d[sub * kPanelRows + r] * args.da[sub * args.sub_stride + t];
        if (kHasMin)
          acc = std::fma(args.m[sub * kPanelRows + r], args.sa[sub * args.sub_stride + t], acc);
        acc = std::fma(d, static_cast<float>(sum), acc);
      }
      y[r] = acc;
    }
  }
}

IntKernel int_kernel(int, int sub_block_len, bool has_min) {
  if (sub_block_len == 16) return has_min ? int_kernel_of<16, true> : int_kernel_of<16, false>;
  return has_min ? int_kernel_of<32, true> : int_kernel_of<32, false>;
}

void float_kernel(const FloatArgs& args) {
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const float* x = args.x + t * args.x_stride;
    float* y = args.y + t * args.y_stride;
    for (int r = 0; r < kPanelRows; ++r) {
      float total = y[r];
      for (int64_t start = 0; start < args.n; start += kFloatChunk) {
        const int64_t end = start + kFloatChunk < args.n ? start + kFloatChunk : args.n;
        float acc = 0.0f;
        for (int64_t k = start; k < end; ++k) acc = std::fma(args.w[k * kPanelRows + r], x[k], acc);
        total = args.first && start == 0 ? acc : total + acc;
      }
      y[r] = total;
    }
  }
}

}  // namespace
}  // namespace scalar

const Kernels& scalar_kernels() {
  static const Kernels kernels = {.isa = Isa::scalar,
                                  .packs_avx2 = false,
                                  .int_kernel = scalar::int_kernel,
                                  .float_kernel = scalar::float_kernel,
                                  .interleave_codes = scalar::interleave_codes,
                                  .interleave_floats = scalar::interleave_floats,
                                  .expand_codes = scalar::expand_codes,
                                  .round_q8 = scalar::round_q8,
                                  .round_q8_k = scalar::round_q8_k};
  return kernels;
}

}  // namespace crossval
