// ggml's quantisers for cache types (ggml-quants.c `quantize_row_*_ref`, and the SIMD forms of Q8_0
// in ggml-cpu/arch/x86/quants.c).
#include "replay/requantize.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/half.h"
#include "quant/iq4_steps.h"
#include "quant/round_q8_0.h"
#include "replay/inputs.h"

namespace crossval {
namespace {

constexpr int64_t kBlock = 32;

float through_f16(float x) { return f16_to_f32(f32_to_f16(x)); }

void block_q8_0(const float* x, bool as_reference, float* values, float* sigma) {
  const float amax = round_through_q8_0(
      x, kBlock, as_reference ? Q8Rounding::reference : Q8Rounding::simd, values);
  for (int64_t i = 0; i < kBlock; ++i) {
    sigma[i] = static_cast<float>(kUnit32) * amax;  // nothing but dequantisation is rounded
  }
}

// Q4_0 and Q5_0: the value of largest magnitude becomes -2^(bits - 1).
void block_symmetric(const float* x, int bits, float* values, float* sigma) {
  float largest = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  const auto half = static_cast<float>(1 << (bits - 1));
  const float d = largest / -half;
  const float factor = d == 0.0f ? 0.0f : 1.0f / d;
  const float stored = through_f16(d);
  for (int64_t i = 0; i < kBlock; ++i) {
    // Contraction of the product and the sum may move a value over a boundary.
    const float code = std::min(2 * half - 1, std::trunc(x[i] * factor + half + 0.5f));
    values[i] = (code - half) * stored;
    sigma[i] = std::fabs(stored) / 4;
  }
}

// Q4_1 and Q5_1: from the smallest to the largest value.
void block_with_minimum(const float* x, int bits, float* values, float* sigma) {
  const auto [low, high] = std::minmax_element(x, x + kBlock);
  const auto steps = static_cast<float>((1 << bits) - 1);
  const float d = (*high - *low) / steps;
  const float factor = d == 0.0f ? 0.0f : 1.0f / d;
  const float stored = through_f16(d), minimum = through_f16(*low);
  for (int64_t i = 0; i < kBlock; ++i) {
    const float code = std::min(steps, std::trunc((x[i] - *low) * factor + 0.5f));
    values[i] = code * stored + minimum;
    sigma[i] = std::fabs(stored) / 4;
  }
}

// IQ4_NL (`quantize_row_iq4_nl_impl` without weights or tries): each value to the nearest step of
// the largest one's scale, then the scale that fits those steps best.
void block_iq4_nl(const float* x, float* values, float* sigma) {
  float largest = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  }
  const float factor = 1 / (largest / static_cast<float>(kIq4Steps[0]));
  float to_next[kBlock];  // where the nearest step is a tie to rounding: how far the other one is
  double products = 0, squares = 0;
  for (int64_t i = 0; i < kBlock; ++i) {
    const float scaled = x[i] * factor;
    int at = 0;
    while (at < 15 && scaled >= 0.5f * static_cast<float>(kIq4Steps[at] + kIq4Steps[at + 1])) ++at;
    to_next[i] = 0;
    for (const int other : {at - 1, at + 1}) {
      if (other < 0 || other > 15) continue;
      const auto middle = 0.5f * static_cast<float>(kIq4Steps[at] + kIq4Steps[other]);
      if (std::fabs(scaled - middle) <= 0x1p-17f) {  // a unit of 127
        to_next[i] = static_cast<float>(std::abs(kIq4Steps[at] - kIq4Steps[other]));
      }
    }
    values[i] = static_cast<float>(kIq4Steps[at]);
    products += double{values[i]} * x[i] * x[i] * x[i];
    squares += double{values[i]} * values[i] * x[i] * x[i];
  }
  if (!(std::fabs(largest) >= 1e-15f)) products = 0;  // `GROUP_MAX_EPS`
  const double scale = squares > 0 ? products / squares : 0;
  // The terms are of one sign; their sums in f32 are off by fewer units than there are terms. That
  // shows where the scale as a half float may be the next one.
  const auto rounded = [&](double relative) {
    return through_f16(static_cast<float>(scale * (1 + relative)));
  };
  const float stored = rounded(0);
  const float step = std::fabs(rounded(kBlock * kUnit32) - rounded(-kBlock * kUnit32));
  for (int64_t i = 0; i < kBlock; ++i) {
    // 0.7: where a single one of a tensor lands elsewhere, 2 sigma of all its elements hold that.
    sigma[i] = 0.7f * (std::fabs(values[i]) * step + to_next[i] * std::fabs(stored));
    values[i] *= stored;
  }
}

}  // namespace

const char* store_row(GgmlType type, int variant, const float* x, int64_t n, float* values,
                      float* sigma) {
  if (variant > (type == GgmlType::Q8_0 ? 1 : 0)) return nullptr;
  if (type == GgmlType::F32 || type == GgmlType::F16 || type == GgmlType::BF16) {
    for (int64_t i = 0; i < n; ++i) {
      values[i] = type == GgmlType::F16    ? through_f16(x[i])
                  : type == GgmlType::BF16 ? bf16_to_f32(f32_to_bf16(x[i]))
                                           : x[i];
      sigma[i] = 0;  // conversions are exact to the bit in every engine
    }
    return "f32";
  }
  if (n % kBlock != 0) return nullptr;
  for (int64_t at = 0; at < n; at += kBlock) {
    switch (type) {
      case GgmlType::Q8_0:
        block_q8_0(x + at, variant == 1, values + at, sigma + at);
        break;
      case GgmlType::Q4_0:
        block_symmetric(x + at, 4, values + at, sigma + at);
        break;
      case GgmlType::Q5_0:
        block_symmetric(x + at, 5, values + at, sigma + at);
        break;
      case GgmlType::Q4_1:
        block_with_minimum(x + at, 4, values + at, sigma + at);
        break;
      case GgmlType::Q5_1:
        block_with_minimum(x + at, 5, values + at, sigma + at);
        break;
      case GgmlType::IQ4_NL:
        block_iq4_nl(x + at, values + at, sigma + at);
        break;
      default:
        return nullptr;
    }
  }
  return variant == 0 ? "SIMD" : "reference";
}

}  // namespace crossval
