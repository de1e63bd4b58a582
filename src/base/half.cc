// Row conversions of 16-bit floats. The F16C loops are chosen at run time; both ways give equal
// bits (half_test.cc checks every f16 value and random f32 ones).
#include "base/half.h"

#include <cstring>

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace crossval {
namespace {

#if defined(__x86_64__)
bool has_f16c() { return cpu_has_f16c() && cpu_has_avx2_fma(); }

__attribute__((target("avx2,f16c"))) int64_t widen_f16c(const unsigned char* from, int64_t n,
                                                        float* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 2 * i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(half));
  }
  return i;
}

__attribute__((target("avx2,f16c"))) int64_t narrow_f16c(const float* from, int64_t n,
                                                         uint16_t* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), half);
  }
  return i;
}
#endif

uint16_t load_u16(const unsigned char* p) {
  uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

}  // namespace

void f16_to_f32_row(const void* from, int64_t n, float* to) {
  const auto* bytes = static_cast<const unsigned char*>(from);
  int64_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) i = widen_f16c(bytes, n, to);
#endif
  for (; i < n; ++i) to[i] = f16_to_f32(load_u16(bytes + 2 * i));
}

void f32_to_f16_row(const float* from, int64_t n, uint16_t* to) {
  int64_t i = 0;
#if defined(__x86_64__)
  if (has_f16c()) i = narrow_f16c(from, n, to);
#endif
  for (; i < n; ++i) to[i] = f32_to_f16(from[i]);
}

void bf16_to_f32_row(const void* from, int64_t n, float* to) {
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = bf16_to_f32(load_u16(bytes + 2 * i));
}

}  // namespace crossval
