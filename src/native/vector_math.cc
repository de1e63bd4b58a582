#include "native/vector_math.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/cpu.h"

#if CROSSVAL_X86
#include <immintrin.h>
#endif

namespace crossval {
namespace {

constexpr int kLanes = 16;

// e^x = 2^n * e^r with |r| <= ln(2)/2; ln 2 in two parts (Cody and Waite), a Taylor polynomial of
// degree 7 whose remainder at the ends is below 2^-27. Both versions below are this, term by term.
constexpr float kLog2E = 1.44269504f;
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
constexpr float kPoly[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                           1.0f / 6,    0.5f,       1.0f,       1.0f};
constexpr float kExpMax = 88.8f, kExpMin = -104.0f;  // beyond: inf and 0

float exp_scalar(float x) {
  if (std::isnan(x)) return x;
  const float clamped = std::min(std::max(x, kExpMin), kExpMax);
  const float n = std::nearbyint(clamped * kLog2E);
  float r = std::fma(n, -kLn2High, clamped);
  r = std::fma(n, -kLn2Low, r);
  float p = kPoly[0];
  for (int i = 1; i < 8; ++i) p = std::fma(p, r, kPoly[i]);
  // Scaled in two steps, so that results near the ends of the range are rounded once.
  const int exponent = static_cast<int>(n);
  const int half = exponent >> 1;
  const float a = std::bit_cast<float>((half + 127) << 23);
  const float b = std::bit_cast<float>((exponent - half + 127) << 23);
  return p * a * b;
}

#if CROSSVAL_X86
__attribute__((target("avx2,fma"))) inline __m256 exp_avx2(__m256 x) {
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256 clamped =
      _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(kExpMin)), _mm256_set1_ps(kExpMax));
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(kLog2E)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-kLn2High), clamped);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(-kLn2Low), r);
  __m256 p = _mm256_set1_ps(kPoly[0]);
  for (int i = 1; i < 8; ++i) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(kPoly[i]));
  const __m256i exponent = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(exponent, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(exponent, half), bias), 23);
  p = _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
  return _mm256_blendv_ps(p, x, nan);
}

__attribute__((target("avx2,fma"))) void exp_row_avx2(float* x, int n) {
  int i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, exp_avx2(_mm256_loadu_ps(x + i)));
  for (; i < n; ++i) x[i] = exp_scalar(x[i]);
}

__attribute__((target("avx2,fma"))) void silu_multiply_avx2(const float* up, int n, float* gate) {
  const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
  int i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 g = _mm256_loadu_ps(gate + i);
    const __m256 denominator = _mm256_add_ps(one, exp_avx2(_mm256_xor_ps(g, sign)));
    _mm256_storeu_ps(gate + i,
                     _mm256_mul_ps(_mm256_div_ps(g, denominator), _mm256_loadu_ps(up + i)));
  }
  for (; i < n; ++i) gate[i] = gate[i] / (1.0f + exp_scalar(-gate[i])) * up[i];
}

// n_rows rows at a time keep 2 x n_rows vectors of sums in registers: with 6 rows 12 of the 16.
template <int n_rows>
__attribute__((target("avx2,fma"))) void outer_rows_avx2(const OuterArgs& args, int row) {
  __m256 sum[n_rows][2];
  for (int i = 0; i < n_rows; ++i) {
    for (int half = 0; half < 2; ++half) {
      sum[i][half] = _mm256_loadu_ps(args.out + (row + i) * args.out_stride + 8 * half);
    }
  }
  const float* a = args.a + row * args.a_stride;
  const float* b = args.b;
  for (int t = 0; t < args.n_terms; ++t, b += args.b_stride) {
    const __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < n_rows; ++i) {
      const __m256 ai = _mm256_broadcast_ss(a + i * args.a_stride + t);
      sum[i][0] = _mm256_fmadd_ps(ai, b0, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(ai, b1, sum[i][1]);
    }
  }
  for (int i = 0; i < n_rows; ++i) {
    for (int half = 0; half < 2; ++half) {
      _mm256_storeu_ps(args.out + (row + i) * args.out_stride + 8 * half, sum[i][half]);
    }
  }
}

void outer_avx2(const OuterArgs& args) {
  int row = 0;
  for (; row + 6 <= args.n_rows; row += 6) outer_rows_avx2<6>(args, row);
  for (; row + 3 <= args.n_rows; row += 3) outer_rows_avx2<3>(args, row);
  for (; row < args.n_rows; ++row) outer_rows_avx2<1>(args, row);
}
#else
void exp_row_avx2(float* x, int n) { scalar::exp_row(x, n); }
void outer_avx2(const OuterArgs& args) { scalar::accumulate_outer(args); }
void silu_multiply_avx2(const float*, int, float*) {}
#endif

}  // namespace

namespace scalar {

void accumulate_outer(const OuterArgs& args) {
  for (int i = 0; i < args.n_rows; ++i) {
    float* out = args.out + i * args.out_stride;
    for (int t = 0; t < args.n_terms; ++t) {
      const float a = args.a[i * args.a_stride + t];
      for (int lane = 0; lane < kLanes; ++lane) {
        out[lane] = std::fma(a, args.b[t * args.b_stride + lane], out[lane]);
      }
    }
  }
}

void exp_row(float* x, int n) {
  for (int i = 0; i < n; ++i) x[i] = exp_scalar(x[i]);
}

}  // namespace scalar

void accumulate_outer(const OuterArgs& args) {
  cpu_has_avx2_fma() ? outer_avx2(args) : scalar::accumulate_outer(args);
}

void exp_row(float* x, int n) { cpu_has_avx2_fma() ? exp_row_avx2(x, n) : scalar::exp_row(x, n); }

void rms_norm_row(const float* x, const float* weight, int n, float eps, float* y) {
  // Four interleaved sums: the order is fixed and the additions overlap.
  double sums[4] = {0, 0, 0, 0};
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int j = 0; j < 4; ++j) sums[j] += static_cast<double>(x[i + j] * x[i + j]);
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(x[i] * x[i]);
  const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  const float mean = static_cast<float>(sum / n);
  const float scale = 1.0f / std::sqrt(mean + eps);
  for (int j = 0; j < n; ++j) y[j] = x[j] * scale;
  if (weight != nullptr) multiply_row(weight, n, y);
}

void layer_norm_row(const float* x, const float* weight, int n, float eps, float* y) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  const float mean = static_cast<float>(sum / n);
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    y[i] = x[i] - mean;
    squares += static_cast<double>(y[i] * y[i]);
  }
  const float variance = static_cast<float>(squares / n);
  const float scale = 1.0f / std::sqrt(variance + eps);
  scale_row(scale, n, y);
  if (weight != nullptr) multiply_row(weight, n, y);
}

namespace {

// `max` is at least every x; `rest` = what the sum holds beside the row's.
void softmax_below(float* x, int n, float max, double rest) {
  for (int i = 0; i < n; ++i) x[i] -= max;
  exp_row(x, n);
  double sums[4] = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) sums[i & 3] += static_cast<double>(x[i]);
  const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest;
  const float inverse = static_cast<float>(1.0 / sum);
  scale_row(inverse, n, x);
}

}  // namespace

void softmax_row(float* x, int n) {
  float max = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < n; ++i) max = std::max(max, x[i]);
  softmax_below(x, n, max, 0);
}

void softmax_row_with_sink(float* x, int n, float sink) {
  float max = sink;
  for (int i = 0; i < n; ++i) max = std::max(max, x[i]);
  softmax_below(x, n, max, static_cast<double>(exp_scalar(sink - max)));
}

void silu_multiply_row(const float* up, int n, float* gate) {
  if (cpu_has_avx2_fma()) return silu_multiply_avx2(up, n, gate);
  for (int i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + exp_scalar(-gate[i])) * up[i];
}

void relu_squared_multiply_row(const float* up, int n, float* gate) {
  for (int i = 0; i < n; ++i) {
    const float rectified = gate[i] < 0.0f ? 0.0f : gate[i];
    gate[i] = rectified * rectified * up[i];
  }
}

void multiply_row(const float* factors, int n, float* row) {
  for (int i = 0; i < n; ++i) row[i] *= factors[i];
}

void scale_row(float factor, int n, float* row) {
  for (int i = 0; i < n; ++i) row[i] *= factor;
}

void soft_cap_row(float cap, int n, float* row) {
  for (int i = 0; i < n; ++i) row[i] = cap * std::tanh(row[i] / cap);
}

void add_row(const float* term, int n, float* sum) {
  for (int i = 0; i < n; ++i) sum[i] += term[i];
}

}  // namespace crossval
