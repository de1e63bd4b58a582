// Loops that need no intrinsics: the compiler vectorises them for whichever target the including
// kernels_*.cc has switched on. Included once per kernels_*.cc inside its own namespace, so it has
// no include guard and no includes; every version gives the same bits (no contraction, no reordered
// sums of floats).

inline uint32_t magnitude_bits(float value) { return std::bit_cast<uint32_t>(value) & 0x7fffffffu; }

// Largest magnitude as bits (ordered like the values; anything not finite is above all others).
inline uint32_t max_magnitude(const float* x, int n) {
  int32_t largest = 0;
  for (int i = 0; i < n; ++i) {
    const auto bits = static_cast<int32_t>(magnitude_bits(x[i]));
    largest = bits > largest ? bits : largest;
  }
  return static_cast<uint32_t>(largest);
}

// Round half to even for |v| < 2^22, as cvtps2dq does.
inline int32_t round_to_even(float v) {
  return std::bit_cast<int32_t>(v + 12582912.0f) - 0x4b400000;
}

// codes = round(x * scale) and their sum.
inline int32_t round_block(const float* x, int n, float scale, int8_t* codes) {
  int32_t sum = 0;
  for (int i = 0; i < n; ++i) {
    const int32_t code = round_to_even(x[i] * scale);
    codes[i] = static_cast<int8_t>(code);
    sum += code;
  }
  return sum;
}

// Q8_0 and Q8_1 as ggml's x86 paths round (ggml-cpu/arch/x86/quants.c `quantize_row_q8_1`):
// factor 127 / amax, half to even, d and s = d * sum kept as f16. A block with a value that is not
// finite gets d = s = NaN: ggml would launder it into numbers. Sub-blocks of 16 share the d of
// their block (NVFP4; s is of formats with a minimum, which have sub-blocks of 32).
template <int kSubLen>
void round_q8_of(const float* x, int64_t n, int offset, bool has_sum, const RoundedRow& out) {
  constexpr int kLen = 32, kSubs = kLen / kSubLen;
  for (int64_t block = 0; block < n / kLen; ++block) {
    const float* values = x + block * kLen;
    int8_t* codes = out.codes + block * kLen;
    const uint32_t largest = max_magnitude(values, kLen);
    const float amax = std::bit_cast<float>(largest);
    const float factor = 127.0f / amax;
    // Else not finite, or so small that d is 0 in f16.
    const bool usable = largest < 0x7f800000u && magnitude_bits(factor) < 0x7f800000u;
    const float d = largest < 0x7f800000u ? amax / 127.0f : std::numeric_limits<float>::quiet_NaN();
    for (int sub = 0; sub < kSubs; ++sub) {
      int32_t sum = 0;
      if (usable) {
        sum = round_block(values + sub * kSubLen, kSubLen, factor, codes + sub * kSubLen);
      } else {
        std::memset(codes + sub * kSubLen, 0, static_cast<size_t>(kSubLen));
      }
      const int64_t i = (block * kSubs + sub) * out.sub_stride;
      out.d[i] = f16_to_f32(f32_to_f16(d));
      out.s[i] = has_sum ? f16_to_f32(f32_to_f16(d * static_cast<float>(sum))) : 0.0f;
      out.sums[i] = offset * sum;
    }
  }
}

inline void round_q8(const float* x, int64_t n, int offset, bool has_sum, int sub_len,
                     const RoundedRow& out) {
  return sub_len == 16 ? round_q8_of<16>(x, n, offset, has_sum, out)
                       : round_q8_of<32>(x, n, offset, has_sum, out);
}

// Q8_K (ggml-quants.c `quantize_row_q8_K_ref`): 256 values, factor -127 / (the value of largest
// magnitude), d kept as f32. s = d * sum, because ggml sums minima as integers.
inline void round_q8_k(const float* x, int64_t n, int offset, int sub_len, const RoundedRow& out) {
  constexpr int kLen = 256;
  const int n_sub = kLen / sub_len;
  for (int64_t block = 0; block < n / kLen; ++block) {
    const float* values = x + block * kLen;
    int8_t* codes = out.codes + block * kLen;
    const uint32_t largest = max_magnitude(values, kLen);
    float max = 0.0f;
    for (int i = 0; i < kLen; ++i) {
      if (magnitude_bits(values[i]) == largest) {
        max = values[i];
        break;
      }
    }
    const float factor = -127.0f / max;
    const bool usable = largest < 0x7f800000u && magnitude_bits(factor) < 0x7f800000u;
    const float d = usable                  ? 1.0f / factor
                    : largest < 0x7f800000u ? 0.0f
                                            : std::numeric_limits<float>::quiet_NaN();
    for (int sub = 0; sub < n_sub; ++sub) {
      int32_t sum = 0;
      if (usable) {
        sum = round_block(values + sub * sub_len, sub_len, factor, codes + sub * sub_len);
      } else {
        std::memset(codes + sub * sub_len, 0, static_cast<size_t>(sub_len));
      }
      const int64_t i = (block * n_sub + sub) * out.sub_stride;
      out.d[i] = d;
      out.s[i] = d * static_cast<float>(sum);
      out.sums[i] = offset * sum;
    }
  }
}
