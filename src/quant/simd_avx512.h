// The vector wrapper for 512-bit registers, but for the dot product (kernels_avx512.cc,
// kernels_avx512vnni.cc). Included inside a namespace and target options; see kernel_simd.h.

struct Avx512 {
  using F = __m512;
  using I = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kFloatTokens =
      12;  // enough chains for two FMA units, each with a latency of 4
  static constexpr int kSumTokens = 12;

  static F zero_f() { return _mm512_setzero_ps(); }
  static F load_f(const float* p) { return _mm512_loadu_ps(p); }
  static void store_f(float* p, F v) { _mm512_storeu_ps(p, v); }
  static F broadcast_f(const float* p) { return _mm512_set1_ps(*p); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F add_f(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub_f(F a, F b) { return _mm512_sub_ps(a, b); }
  static F to_f(I v) { return _mm512_cvtepi32_ps(v); }

  // Keeps the compiler from regrouping a chain of integer sums into a tree: a tree needs every
  // product at once, and spills them all.
  static void keep(I& v) { asm("" : "+v"(v)); }

  // Integers kept for a while where floats will be.
  static I load_i(const float* p) {
    return _mm512_loadu_si512(reinterpret_cast<const __m512i*>(p));
  }
  static void store_i(float* p, I v) { _mm512_storeu_si512(reinterpret_cast<__m512i*>(p), v); }
  static I zero_i() { return _mm512_setzero_si512(); }
  static I load_bytes(const uint8_t* p) {
    return _mm512_loadu_si512(reinterpret_cast<const __m512i*>(p));
  }
  static I broadcast_4_bytes(const int8_t* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
  }
  static I broadcast_i32(const int32_t* p) { return _mm512_set1_epi32(*p); }
  static I splat_i32(int32_t v) { return _mm512_set1_epi32(v); }
  template <int kBits>
  static I shift_right_32(I v) {
    return _mm512_srli_epi32(v, kBits);
  }
  static I broadcast_i16(short v) { return _mm512_set1_epi16(v); }
  static I maddubs(I codes, I a) { return _mm512_maddubs_epi16(codes, a); }
  static I madd_i16(I a, I b) { return _mm512_madd_epi16(a, b); }
  static I add_i16(I a, I b) { return _mm512_add_epi16(a, b); }
  static I add_i32(I a, I b) { return _mm512_add_epi32(a, b); }
  static I sub_i32(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I and_i(I a, I b) { return _mm512_and_si512(a, b); }
  static I shift_right_4(I v) { return _mm512_srli_epi16(v, 4); }
};
