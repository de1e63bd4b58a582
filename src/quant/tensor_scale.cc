// Rounding per row and the scaling of finished sums; the vector versions do the same operations in
// the same order as the scalar ones.
#include "quant/tensor_scale.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace crossval {
namespace {

constexpr uint32_t kInfBits = 0x7f800000u;

uint32_t magnitude(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffffu; }

float scale_of(uint32_t largest) {
  if (largest >= kInfBits) return std::numeric_limits<float>::quiet_NaN();
  const double max = std::max(1e-5, double{std::bit_cast<float>(largest)});
  return static_cast<float>(127.0 / max);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) uint32_t largest_magnitude_avx2(const float* x, int64_t n) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (int64_t i = 0; i < n; i += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    largest = _mm256_max_epu32(largest, _mm256_and_si256(bits, mask));
  }
  alignas(32) uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), largest);
  return *std::max_element(lanes, lanes + 8);
}

// 32 codes and their sum. cvtps2dq rounds half to even; packs saturates, which is the clamp.
__attribute__((target("avx2"))) int32_t round_32_avx2(const float* x, float s, int8_t* codes) {
  const __m256 scale = _mm256_set1_ps(s);
  __m256i v[4];
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), scale));
  }
  const __m256i words_low = _mm256_packs_epi32(v[0], v[1]);
  const __m256i words_high = _mm256_packs_epi32(v[2], v[3]);
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words_low, words_high),
                                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes), bytes);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  const __m256i quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), quads);
  int32_t sum = 0;
  for (const int32_t lane : lanes) sum += lane;
  return sum;
}

float round_i8_row_avx2(const float* x, int64_t n, int8_t* codes, int32_t& sum) {
  const float s = scale_of(largest_magnitude_avx2(x, n));
  sum = 0;
  if (std::isnan(s)) {
    std::fill_n(codes, n, int8_t{0});
    return s;
  }
  for (int64_t i = 0; i < n; i += 32) sum += round_32_avx2(x + i, s, codes + i);
  return s;
}
#endif

}  // namespace

namespace scalar {

float round_i8_row(const float* x, int64_t n, int8_t* codes, int32_t& sum) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, magnitude(x[i]));
  const float s = scale_of(largest);
  sum = 0;
  if (std::isnan(s)) {
    std::fill_n(codes, n, int8_t{0});
    return s;
  }
  for (int64_t i = 0; i < n; ++i) {
    // Rounds half to even in the default mode; |x * s| is 127 and a rounding error at most.
    codes[i] = static_cast<int8_t>(std::clamp(std::nearbyint(x[i] * s), -128.0f, 127.0f));
    sum += codes[i];
  }
  return s;
}

}  // namespace scalar

float round_i8_row(const float* x, int64_t n, int8_t* codes, int32_t& sum) {
#if defined(__x86_64__)
  if (n % 32 == 0 && active_kernels().packs_avx2) return round_i8_row_avx2(x, n, codes, sum);
#endif
  return scalar::round_i8_row(x, n, codes, sum);
}

void apply_weight_scale(const WeightView& w, const PreparedActivations& x, float* y,
                        int64_t y_stride, ThreadPool& pool) {
  const bool rounded = x.type == ActivationType::I8_ROW;
  const int64_t tokens_per_item = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, w.n_rows));
  const int64_t n_items = (x.n_tokens + tokens_per_item - 1) / tokens_per_item;
  pool.run(n_items, [&](int64_t item, int) {
    const int64_t end = std::min(x.n_tokens, (item + 1) * tokens_per_item);
    for (int64_t t = item * tokens_per_item; t < end; ++t) {
      float* row = y + t * y_stride;
      const float s = rounded ? x.row_scales[static_cast<size_t>(t)] : 1.0f;  // / 1 changes no bit
      for (int64_t r = 0; r < w.n_rows; ++r) row[r] = row[r] / s * w.row_scale(r);
    }
  });
}

}  // namespace crossval
