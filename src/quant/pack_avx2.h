// Pieces of the formats' pack_avx2: packed 4-byte groups of 8 rows are turned so that one register
// holds the same group of all 8 rows; nibbles and bits are taken apart after that, which costs half
// of the shuffles. Results: CodePanel (formats.h), 8 of its 16 rows at a time.
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "quant/formats.h"

#define CROSSVAL_AVX2 __attribute__((target("avx2,fma,f16c")))
#define CROSSVAL_AVX2_INLINE __attribute__((target("avx2,fma,f16c"), always_inline)) inline

namespace crossval {

// out[i] = bytes 4i to 4i + 3 of the 16 at `at` of rows 0 to 7, row_bytes apart.
CROSSVAL_AVX2_INLINE void turn_16_bytes(const std::byte* at, int64_t row_bytes, __m256i (&out)[4]) {
  __m256i pairs[4];  // row r in the lower, row r + 4 in the upper half
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    const auto* low = reinterpret_cast<const __m128i*>(at + r * row_bytes);
    const auto* high = reinterpret_cast<const __m128i*>(at + (r + 4) * row_bytes);
    pairs[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                       _mm_loadu_si128(high), 1);
  }
  const __m256i a = _mm256_unpacklo_epi32(pairs[0], pairs[1]);
  const __m256i b = _mm256_unpackhi_epi32(pairs[0], pairs[1]);
  const __m256i c = _mm256_unpacklo_epi32(pairs[2], pairs[3]);
  const __m256i d = _mm256_unpackhi_epi32(pairs[2], pairs[3]);
  out[0] = _mm256_unpacklo_epi64(a, c);
  out[1] = _mm256_unpackhi_epi64(a, c);
  out[2] = _mm256_unpacklo_epi64(b, d);
  out[3] = _mm256_unpackhi_epi64(b, d);
}

CROSSVAL_AVX2_INLINE void store_codes(uint8_t* to, __m256i codes) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), codes);
}

CROSSVAL_AVX2_INLINE uint16_t load_u16(const std::byte* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// The f16 at `at` of 8 rows as floats.
CROSSVAL_AVX2_INLINE __m256 load_f16_column(const std::byte* at, int64_t row_bytes) {
  __m128i halves = _mm_cvtsi32_si128(load_u16(at));
  halves = _mm_insert_epi16(halves, load_u16(at + row_bytes), 1);
  halves = _mm_insert_epi16(halves, load_u16(at + 2 * row_bytes), 2);
  halves = _mm_insert_epi16(halves, load_u16(at + 3 * row_bytes), 3);
  at += 4 * row_bytes;
  __m128i others = _mm_cvtsi32_si128(load_u16(at));
  others = _mm_insert_epi16(others, load_u16(at + row_bytes), 1);
  others = _mm_insert_epi16(others, load_u16(at + 2 * row_bytes), 2);
  others = _mm_insert_epi16(others, load_u16(at + 3 * row_bytes), 3);
  return _mm256_cvtph_ps(_mm_unpacklo_epi64(halves, others));
}

// Asks for what the next panel will read where this one reads `at`. A hint: it may lie outside.
CROSSVAL_AVX2_INLINE void prefetch_next_panel(const std::byte* at, int64_t row_bytes) {
  const auto here = reinterpret_cast<uintptr_t>(at);
  for (int64_t r = 0; r < 8; ++r) {
    const uintptr_t there = here + static_cast<uintptr_t>((kPanelRows + r) * row_bytes);
    _mm_prefetch(reinterpret_cast<const char*>(there), _MM_HINT_T0);
  }
}

// Asks for `bytes` at `at` (a constant: the loop unrolls). A hint: it may lie outside.
template <int kBytes>
CROSSVAL_AVX2_INLINE void prefetch_bytes(const std::byte* at) {
  const auto here = reinterpret_cast<uintptr_t>(at);
#pragma GCC unroll 16
  for (uintptr_t byte = 0; byte < kBytes; byte += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(here + byte), _MM_HINT_T0);
  }
}

// 4 activations in every lane.
CROSSVAL_AVX2_INLINE __m256i repeat_4_codes(const int8_t* at) {
  int32_t word;
  std::memcpy(&word, at, sizeof word);
  return _mm256_set1_epi32(word);
}

// acc + one sub-block's share, 8 rows in the lanes; rounded as int_kernel (kernels.h) rounds.
template <bool kHasMin>
CROSSVAL_AVX2_INLINE __m256 add_sub_block(__m256 acc, __m256i sum, __m256 d, __m256 m,
                                          const OneToken& x, int64_t sub) {
  if (kHasMin) {
    acc = _mm256_fmadd_ps(m, _mm256_broadcast_ss(x.s + sub), acc);
  } else {
    sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(x.sums[sub]));
  }
  const __m256 scale = _mm256_mul_ps(d, _mm256_broadcast_ss(x.d + sub));
  return _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(sum), acc);
}

}  // namespace crossval

#endif  // __x86_64__
