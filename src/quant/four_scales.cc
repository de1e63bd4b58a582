#include "quant/four_scales.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace crossval {
namespace {

// x * factor half to even, where that is below 2^22. The engine's code for runs of 16 leaves it to
// the compiler to multiply and add this number in one operation, and that does: the product is not
// rounded before it becomes an integer.
template <int kRun>
int32_t rounded(float x, float factor) {
  constexpr float kWhole = 12582912.0f;
  const float sum = kRun == 16 ? std::fma(x, factor, kWhole) : x * factor + kWhole;
  return std::bit_cast<int32_t>(sum) - 0x4b400000;
}

template <int kRun>
FourScales round_of_run(const float* x, int64_t n, int sub_len, const RoundedRow& out) {
  constexpr int kPeriod = kRun * kScales;
  assert(n % 64 == 0);
  uint32_t largest[kPeriod] = {};  // as bits, which are ordered like magnitudes; NaN above all
  for (int64_t i = 0; i < n; i += kPeriod) {
    for (int j = 0; j < kPeriod; ++j) {
      largest[j] = std::max(largest[j], std::bit_cast<uint32_t>(x[i + j]) & 0x7fffffffu);
    }
  }
  for (int64_t sub = 0; sub < n / sub_len; ++sub) {
    out.d[sub * out.sub_stride] = 1.0f;
    out.s[sub * out.sub_stride] = 0.0f;
    out.sums[sub * out.sub_stride] = 0;
  }
  FourScales scales;
  float factors[kPeriod];
  bool finite = true;
  for (int c = 0; c < kScales; ++c) {
    const float max =
        std::bit_cast<float>(*std::max_element(largest + kRun * c, largest + kRun * (c + 1)));
    const float d = max / 127.0f;
    const float factor = d > 0 ? 1.0f / d : 0.0f;
    finite = finite && std::isfinite(max);
    scales.d[c] = d;
    std::fill_n(factors + kRun * c, kRun, std::isfinite(factor) ? factor : 0.0f);
  }
  if (!finite) {
    std::fill_n(out.codes, n, int8_t{0});
    std::fill_n(scales.d, kScales, std::numeric_limits<float>::quiet_NaN());
    std::fill_n(scales.minus, kScales, std::numeric_limits<float>::quiet_NaN());
    return scales;
  }
  int32_t sums[kPeriod] = {};
  for (int64_t i = 0; i < n; i += kPeriod) {
    int8_t codes[kPeriod];
    for (int j = 0; j < kPeriod; ++j) {
      const int32_t code = rounded<kRun>(x[i + j], factors[j]);
      codes[j] = static_cast<int8_t>(code);
      sums[j] += code;
    }
    for (int c = 0; c < kScales; ++c) {
      std::memcpy(out.codes + c * (n / kScales) + i / kScales, codes + kRun * c, kRun);
    }
  }
  for (int c = 0; c < kScales; ++c) {
    int32_t sum = 0;
    for (int j = 0; j < kRun; ++j) sum += sums[kRun * c + j];
    scales.minus[c] = scales.d[c] * static_cast<float>(sum);
  }
  return scales;
}

}  // namespace

FourScales round_i8_four(const float* x, int64_t n, int run, int sub_len, const RoundedRow& out) {
  return run == 4 ? round_of_run<4>(x, n, sub_len, out) : round_of_run<16>(x, n, sub_len, out);
}

void sort_by_scale(const uint8_t* panel, int64_t n, int run, uint8_t* sorted) {
  const int64_t run_bytes = int64_t{run} * kPanelRows;
  const int64_t n_runs = n / run / kScales;
  for (int64_t i = 0; i < n_runs; ++i) {
    for (int c = 0; c < kScales; ++c) {
      std::memcpy(sorted + (c * n_runs + i) * run_bytes, panel, static_cast<size_t>(run_bytes));
      panel += run_bytes;
    }
  }
}

void join_scales(const float* const (&sums)[kScales], const FourScales& scales, float* y) {
  for (int r = 0; r < kPanelRows; ++r) {
    float part[kScales];
    for (int c = 0; c < kScales; ++c) {
      part[c] = std::fma(scales.d[c], sums[c][r], -scales.minus[c]);
    }
    y[r] = (part[0] + part[2]) + (part[1] + part[3]);
  }
}

}  // namespace crossval
