// Q6_K: 256 weights of 6 bits, 16 signed 8-bit scales of 16 weights each, an f16 scale of scales.
// Layout: ggml/src/ggml-common.h `block_q6_K` and `dequantize_row_q6_K` (llama.cpp): each half of
// 128 weights takes 64 bytes of low nibbles and 32 bytes of upper bit pairs; weights l, l + 32,
// l + 64, l + 96 of the half share byte l of the pairs. weight = d * scale * (code - 32).
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 16, kSubs = kLen / kSubLen;

struct BlockQ6K {
  uint8_t low[kLen / 2];
  uint8_t high[kLen / 4];
  int8_t scales[kSubs];
  uint16_t d;
};
static_assert(sizeof(BlockQ6K) == 210);

void unpack_codes(const BlockQ6K& block, uint8_t* codes) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block.low + 64 * half;
    const uint8_t* high = block.high + 32 * half;
    uint8_t* out = codes + 128 * half;
    for (int l = 0; l < 32; ++l) {
      out[l] = static_cast<uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
      out[l + 32] = static_cast<uint8_t>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
      out[l + 64] = static_cast<uint8_t>((low[l] >> 4) | (high[l] >> 4 & 3) << 4);
      out[l + 96] = static_cast<uint8_t>((low[l + 32] >> 4) | (high[l] >> 6 & 3) << 4);
    }
  }
}

void unpack_q6_k(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ6K>(row + i * int64_t{sizeof(BlockQ6K)});
    unpack_codes(block, codes + i * kLen);
    const float scale = f16_to_f32(block.d);
    // Exact: 11 bits times 8.
    for (int j = 0; j < kSubs; ++j) d[i * kSubs + j] = scale * static_cast<float>(block.scales[j]);
  }
}

#if defined(__x86_64__)
// Bit pair number `pair` of each byte, as bits 4 and 5.
template <int pair>
CROSSVAL_AVX2_INLINE __m256i upper_bits(__m256i bytes) {
  constexpr int kShift = 2 * pair - 4;
  const __m256i moved =
      kShift < 0 ? _mm256_slli_epi16(bytes, -kShift) : _mm256_srli_epi16(bytes, kShift);
  return _mm256_and_si256(moved, _mm256_set1_epi8(0x30));
}

CROSSVAL_AVX2 void pack_q6_k(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  const __m256i nibble = _mm256_set1_epi8(15);
  for (int64_t i = 0; i < n / kLen; ++i) {
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(BlockQ6K)};
      for (int part = 0; part < 4; ++part) {  // 128 weights in 4 columns of 32, 16 of each a time
        const int of_128 = part / 2, quarter = part % 2;
        const std::byte* low = block + 64 * of_128 + 16 * quarter;
        prefetch_next_panel(low, row_bytes);
        __m256i first[4], second[4], high[4];
        turn_16_bytes(low, row_bytes, first);
        turn_16_bytes(low + 32, row_bytes, second);
        turn_16_bytes(block + offsetof(BlockQ6K, high) + 32 * of_128 + 16 * quarter, row_bytes,
                      high);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const int64_t k = i * kLen + 128 * of_128 + 16 * quarter + 4 * j;
          uint8_t* to = panel.codes + k * kPanelRows + 4 * half;
          store_codes(to,
                      _mm256_or_si256(_mm256_and_si256(first[j], nibble), upper_bits<0>(high[j])));
          store_codes(to + 32 * kPanelRows,
                      _mm256_or_si256(_mm256_and_si256(second[j], nibble), upper_bits<1>(high[j])));
          store_codes(to + 64 * kPanelRows,
                      _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(first[j], 4), nibble),
                                      upper_bits<2>(high[j])));
          store_codes(to + 96 * kPanelRows,
                      _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(second[j], 4), nibble),
                                      upper_bits<3>(high[j])));
        }
      }
      const __m256 scale = load_f16_column(block + offsetof(BlockQ6K, d), row_bytes);
      __m256i scales[4];  // [j]: scales 4j to 4j + 3 of each row
      turn_16_bytes(block + offsetof(BlockQ6K, scales), row_bytes, scales);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        float* to = panel.d + (i * kSubs + 4 * j) * kPanelRows + half;
        const __m256i s[4] = {_mm256_srai_epi32(_mm256_slli_epi32(scales[j], 24), 24),
                              _mm256_srai_epi32(_mm256_slli_epi32(scales[j], 16), 24),
                              _mm256_srai_epi32(_mm256_slli_epi32(scales[j], 8), 24),
                              _mm256_srai_epi32(scales[j], 24)};
#pragma GCC unroll 4
        for (int sub = 0; sub < 4; ++sub) {
          _mm256_storeu_ps(to + sub * kPanelRows, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(s[sub])));
        }
      }
    }
  }
}
#else
constexpr decltype(Format::pack_avx2) pack_q6_k = nullptr;
#endif

}  // namespace

const Format kQ6_K = {
    .type = GgmlType::Q6_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ6K),
    .sub_block_len = kSubLen,
    .code_bits = 6,
    .offset = 32,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q6_k, sizeof(BlockQ6K), kLen, kSubLen, 32>,
    .unpack = unpack_q6_k,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ6K), offsetof(BlockQ6K, d)>,
    .pack_avx2 = pack_q6_k};

}  // namespace crossval
