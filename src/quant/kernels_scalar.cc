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

void sum_rows(const SumArgs& args) {
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const int8_t* a = args.a + t * args.a_stride;
    float* y = args.y + t * args.y_stride;
    for (int r = 0; r < kPanelRows; ++r) {
      int32_t sum = args.first ? 0 : std::bit_cast<int32_t>(y[r]);
      for (int64_t k = 0; k < args.n; ++k) {
        sum += int32_t{args.codes[(k / 4 * kPanelRows + r) * 4 + k % 4]} * int32_t{a[k]};
      }
      y[r] = args.last ? static_cast<float>(sum) - static_cast<float>(args.row_sums[t])
                       : std::bit_cast<float>(sum);
    }
  }
}

SumKernel sum_kernel(int) { return sum_rows; }

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

void interleave_codes(const uint8_t* rows, int64_t stride, int64_t n, uint8_t* panel) {
  for (int64_t k = 0; k < n; k += 4) {
    for (int r = 0; r < kPanelRows; ++r) {
      std::memcpy(panel + (k * kPanelRows) + 4 * r, rows + r * stride + k, 4);
    }
  }
}

void interleave_floats(const float* rows, int64_t stride, int64_t n, float* panel) {
  for (int64_t k = 0; k < n; ++k) {
    for (int r = 0; r < kPanelRows; ++r) panel[k * kPanelRows + r] = rows[r * stride + k];
  }
}

template <bool kHasMin>
void expand_codes_of(const CodePanel& panel, int64_t n, int sub_block_len, int offset, float* out) {
  for (int64_t k = 0; k < n; k += 4) {
    const float* d = panel.d + (k / sub_block_len) * kPanelRows;
    const float* m = kHasMin ? panel.m + (k / sub_block_len) * kPanelRows : nullptr;
    uint32_t words[kPanelRows];
    std::memcpy(words, panel.codes + k * kPanelRows, sizeof words);
    for (int j = 0; j < 4; ++j) {
      float* to = out + (k + j) * kPanelRows;
      for (int r = 0; r < kPanelRows; ++r) {
        const int32_t code = static_cast<int32_t>(words[r] >> (8 * j) & 255u) - offset;
        const float weight = static_cast<float>(code) * d[r];
        to[r] = kHasMin ? weight + m[r] : weight;
      }
    }
  }
}

void expand_codes(const CodePanel& panel, int64_t n, int sub_block_len, int offset, bool has_min,
                  float* out) {
  if (has_min) {
    expand_codes_of<true>(panel, n, sub_block_len, offset, out);
  } else {
    expand_codes_of<false>(panel, n, sub_block_len, offset, out);
  }
}

void coded_kernel(const CodedArgs& args) {
  constexpr int64_t kPart = 32;
  float w[kPart * kPanelRows];
  float acc[kPanelRows];
  for (int64_t start = 0; start < args.n; start += kFloatChunk) {
    const int64_t end = start + kFloatChunk < args.n ? start + kFloatChunk : args.n;
    for (float& a : acc) a = 0.0f;
    for (int64_t part = start; part < end; part += kPart) {
      const int64_t sub = part / args.sub_block_len * kPanelRows;
      expand_codes({args.panel.codes + part * kPanelRows, args.panel.d + sub,
                    args.has_min ? args.panel.m + sub : nullptr},
                   kPart, args.sub_block_len, args.offset, args.has_min, w);
      for (int64_t k = 0; k < kPart; ++k) {
        for (int r = 0; r < kPanelRows; ++r) {
          acc[r] = std::fma(w[k * kPanelRows + r], args.x[part + k], acc[r]);
        }
      }
    }
    for (int r = 0; r < kPanelRows; ++r) {
      args.y[r] = args.first && start == 0 ? acc[r] : args.y[r] + acc[r];
    }
  }
}

}  // namespace
}  // namespace scalar

const Kernels& scalar_kernels() {
  static const Kernels kernels = {.isa = Isa::scalar,
                                  .packs_avx2 = false,
                                  .int_kernel = scalar::int_kernel,
                                  .sum_kernel = scalar::sum_kernel,
                                  .float_kernel = scalar::float_kernel,
                                  .interleave_codes = scalar::interleave_codes,
                                  .interleave_floats = scalar::interleave_floats,
                                  .expand_codes = scalar::expand_codes,
                                  .coded_kernel = scalar::coded_kernel,
                                  .round_q8 = scalar::round_q8,
                                  .round_q8_k = scalar::round_q8_k};
  return kernels;
}

}  // namespace crossval
