// The vector wrapper for 256-bit registers, but for the dot product (kernels_avx2.cc,
// kernels_avx2vnni.cc). Included inside a namespace and target options; see kernel_simd.h.

struct Avx2 {
  using F = __m256;
  using I = __m256i;
  static constexpr int kLanes = 8;
  static constexpr int kFloatTokens = 6;  // 12 sums, 2 weights, 1 activation: 15 of 16 registers
  static constexpr int kSumTokens = 4;    // 8 sums, and room for the loads of the next step

  static F zero_f() { return _mm256_setzero_ps(); }
  static F load_f(const float* p) { return _mm256_loadu_ps(p); }
  static void store_f(float* p, F v) { _mm256_storeu_ps(p, v); }
  static F broadcast_f(const float* p) { return _mm256_broadcast_ss(p); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F add_f(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub_f(F a, F b) { return _mm256_sub_ps(a, b); }
  static F to_f(I v) { return _mm256_cvtepi32_ps(v); }

  // Keeps the compiler from regrouping a chain of integer sums into a tree: a tree needs every
  // product at once, and spills them all.
  static void keep(I& v) { asm("" : "+x"(v)); }

  // Integers kept for a while where floats will be.
  static I load_i(const float* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store_i(float* p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static I zero_i() { return _mm256_setzero_si256(); }
  static I load_bytes(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static I broadcast_4_bytes(const int8_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm256_set1_epi32(word);
  }
  static I broadcast_i32(const int32_t* p) { return _mm256_set1_epi32(*p); }
  static I splat_i32(int32_t v) { return _mm256_set1_epi32(v); }
  template <int kBits>
  static I shift_right_32(I v) {
    return _mm256_srli_epi32(v, kBits);
  }
  static I broadcast_i16(short v) { return _mm256_set1_epi16(v); }
  static I maddubs(I codes, I a) { return _mm256_maddubs_epi16(codes, a); }
  static I madd_i16(I a, I b) { return _mm256_madd_epi16(a, b); }
  static I add_i16(I a, I b) { return _mm256_add_epi16(a, b); }
  static I add_i32(I a, I b) { return _mm256_add_epi32(a, b); }
  static I sub_i32(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I and_i(I a, I b) { return _mm256_and_si256(a, b); }
  static I shift_right_4(I v) { return _mm256_srli_epi16(v, 4); }
};
