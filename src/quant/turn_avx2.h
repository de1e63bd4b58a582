// Interleaving of 16 rows for AVX2 and wider: 8 x 8 turns of 4-byte words. Included like
// kernel_simd.h; kernels_scalar.cc has the plain versions.

// Words k to k + 7 of 8 rows, `stride` bytes apart, to[8 words][kPanelRows] for 8 of the rows.
inline void turn_8x8(const uint8_t* rows, int64_t stride, uint8_t* to) {
  __m256i a[8], b[8];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    for (int part = 0; part < 2; ++part) {  // a[r + 4 part]: 4 words of row r and of row r + 4
      const auto* low = reinterpret_cast<const __m128i*>(rows + r * stride + 16 * part);
      const auto* high = reinterpret_cast<const __m128i*>(rows + (r + 4) * stride + 16 * part);
      a[r + 4 * part] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                                _mm_loadu_si128(high), 1);
    }
  }
#pragma GCC unroll 2
  for (int part = 0; part < 8; part += 4) {
    b[part] = _mm256_unpacklo_epi32(a[part], a[part + 1]);
    b[part + 1] = _mm256_unpackhi_epi32(a[part], a[part + 1]);
    b[part + 2] = _mm256_unpacklo_epi32(a[part + 2], a[part + 3]);
    b[part + 3] = _mm256_unpackhi_epi32(a[part + 2], a[part + 3]);
    const __m256i words[4] = {_mm256_unpacklo_epi64(b[part], b[part + 2]),
                              _mm256_unpackhi_epi64(b[part], b[part + 2]),
                              _mm256_unpacklo_epi64(b[part + 1], b[part + 3]),
                              _mm256_unpackhi_epi64(b[part + 1], b[part + 3])};
    for (int j = 0; j < 4; ++j) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (part + j) * 4 * kPanelRows), words[j]);
    }
  }
}

// n_words 4-byte words of 16 rows -> [n_words][kPanelRows].
inline void interleave_words(const uint8_t* rows, int64_t stride, int64_t n_words, uint8_t* panel) {
  int64_t k = 0;
  for (; k + 8 <= n_words; k += 8) {
    for (int half = 0; half < kPanelRows; half += 8) {
      turn_8x8(rows + half * stride + 4 * k, stride, panel + 4 * (k * kPanelRows + half));
    }
  }
  for (; k < n_words; ++k) {
    for (int r = 0; r < kPanelRows; ++r) {
      std::memcpy(panel + 4 * (k * kPanelRows + r), rows + r * stride + 4 * k, 4);
    }
  }
}

inline void turn_codes(const uint8_t* rows, int64_t stride, int64_t n, uint8_t* panel) {
  interleave_words(rows, stride, n / 4, panel);
}

inline void turn_floats(const float* rows, int64_t stride, int64_t n, float* panel) {
  interleave_words(reinterpret_cast<const uint8_t*>(rows), 4 * stride, n,
                   reinterpret_cast<uint8_t*>(panel));
}
