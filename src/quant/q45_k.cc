// Q4_K and Q5_K: 256 weights of 4 or 5 bits in 8 sub-blocks of 32, each with a 6-bit scale and a
// 6-bit minimum, and two f16 scales of those. Layout: ggml/src/ggml-common.h `block_q4_K`,
// `block_q5_K` and ggml-quants.c `get_scale_min_k4` (llama.cpp): 64 weights share 32 bytes, the
// first 32 in the low nibbles; bit 2i (2i + 1) of high byte l is the fifth bit of weight l of the
// first (second) half of the i-th 64. weight = d * scale * code - dmin * minimum.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 32, kSubs = kLen / kSubLen;

struct BlockQ4K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t codes[kLen / 2];
  static constexpr bool kFive = false;
};
static_assert(sizeof(BlockQ4K) == 144);

struct BlockQ5K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t high[kLen / 8];
  uint8_t codes[kLen / 2];
  static constexpr bool kFive = true;
};
static_assert(sizeof(BlockQ5K) == 176);

// Twelve bytes hold 8 scales and 8 minima of 6 bits: the first four of each whole, the others with
// their upper two bits in the first eight bytes.
void unpack_scales(const uint8_t* packed, uint8_t* scales, uint8_t* minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = packed[j] & 63;
    minima[j] = packed[j + 4] & 63;
    scales[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | (packed[j] >> 6) << 4);
    minima[j + 4] = static_cast<uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4);
  }
}

template <typename Block>
void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(row + i * int64_t{sizeof(Block)});
    uint8_t* out = codes + i * kLen;
    for (int part = 0; part < 4; ++part) {
      for (int l = 0; l < 32; ++l) {
        uint8_t low = block.codes[32 * part + l] & 15;
        uint8_t upper = block.codes[32 * part + l] >> 4;
        if constexpr (Block::kFive) {
          low = static_cast<uint8_t>(low | (block.high[l] >> (2 * part) & 1) << 4);
          upper = static_cast<uint8_t>(upper | (block.high[l] >> (2 * part + 1) & 1) << 4);
        }
        out[64 * part + l] = low;
        out[64 * part + l + 32] = upper;
      }
    }
    uint8_t scales[kSubs], minima[kSubs];
    unpack_scales(block.scales, scales, minima);
    const float scale = f16_to_f32(block.d), scale_of_min = f16_to_f32(block.dmin);
    for (int j = 0; j < kSubs; ++j) {  // exact: 11 bits times 6
      d[i * kSubs + j] = scale * static_cast<float>(scales[j]);
      m[i * kSubs + j] = -(scale_of_min * static_cast<float>(minima[j]));
    }
  }
}

#if defined(__x86_64__)
// 16 bits (the lower or the upper) of each of 8 words as f16.
CROSSVAL_AVX2_INLINE __m256 halves_of(__m256i words, bool upper) {
  const __m256i values =
      upper ? _mm256_srli_epi32(words, 16) : _mm256_and_si256(words, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(values, values), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

// Byte `byte` of each word times scale.
CROSSVAL_AVX2_INLINE __m256 scaled_byte(__m256i words, int byte, __m256 scale) {
  const __m256i moved = _mm256_srl_epi32(words, _mm_cvtsi32_si128(8 * byte));
  const __m256i value = _mm256_and_si256(moved, _mm256_set1_epi32(255));
  return _mm256_mul_ps(scale, _mm256_cvtepi32_ps(value));
}

template <typename Block>
CROSSVAL_AVX2 void pack(const std::byte* row, int64_t row_bytes, int64_t n,
                        const CodePanel& panel) {
  const __m256i nibble = _mm256_set1_epi8(15), two_bits = _mm256_set1_epi8(0x30);
  const __m256i six_bits = _mm256_set1_epi8(63), one = _mm256_set1_epi8(1);
  const __m256 negative = _mm256_set1_ps(-0.0f);
  for (int64_t i = 0; i < n / kLen; ++i) {
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(Block)};
      __m256i head[4];  // d and dmin, then the three words of scales
      turn_16_bytes(block, row_bytes, head);
      const __m256 d = halves_of(head[0], false);
      const __m256 dmin = _mm256_xor_ps(halves_of(head[0], true), negative);
      const __m256i scales[2] = {
          _mm256_and_si256(head[1], six_bits),
          _mm256_or_si256(_mm256_and_si256(head[3], nibble),
                          _mm256_and_si256(_mm256_srli_epi16(head[1], 2), two_bits))};
      const __m256i minima[2] = {
          _mm256_and_si256(head[2], six_bits),
          _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(head[3], 4), nibble),
                          _mm256_and_si256(_mm256_srli_epi16(head[2], 2), two_bits))};
      for (int j = 0; j < kSubs; ++j) {
        const int64_t at = (i * kSubs + j) * kPanelRows + half;
        _mm256_storeu_ps(panel.d + at, scaled_byte(scales[j / 4], j % 4, d));
        _mm256_storeu_ps(panel.m + at, scaled_byte(minima[j / 4], j % 4, dmin));
      }
      for (int quarter = 0; quarter < 2; ++quarter) {  // 16 bytes of each 32 at a time
        __m256i high[4] = {};
        if constexpr (Block::kFive) {
          turn_16_bytes(block + offsetof(BlockQ5K, high) + 16 * quarter, row_bytes, high);
        }
        for (int part = 0; part < 4; ++part) {
          const std::byte* at = block + offsetof(Block, codes) + 32 * part + 16 * quarter;
          prefetch_next_panel(at, row_bytes);
          __m256i packed[4];
          turn_16_bytes(at, row_bytes, packed);
          uint8_t* to = panel.codes + 4 * half + (i * kLen + 64 * part + 16 * quarter) * kPanelRows;
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            __m256i low = _mm256_and_si256(packed[j], nibble);
            __m256i upper = _mm256_and_si256(_mm256_srli_epi16(packed[j], 4), nibble);
            if constexpr (Block::kFive) {
              low = _mm256_or_si256(low, _mm256_slli_epi16(_mm256_and_si256(high[j], one), 4));
              high[j] = _mm256_srli_epi16(high[j], 1);
              upper = _mm256_or_si256(upper, _mm256_slli_epi16(_mm256_and_si256(high[j], one), 4));
              high[j] = _mm256_srli_epi16(high[j], 1);
            }
            store_codes(to + 4 * j * kPanelRows, low);
            store_codes(to + (4 * j + 32) * kPanelRows, upper);
          }
        }
      }
    }
  }
}
constexpr auto kPackQ4K = pack<BlockQ4K>;
constexpr auto kPackQ5K = pack<BlockQ5K>;
#else
constexpr decltype(Format::pack_avx2) kPackQ4K = nullptr, kPackQ5K = nullptr;
#endif

}  // namespace

const Format kQ4_K = {
    .type = GgmlType::Q4_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ4K),
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = 0,
    .has_min = true,
    .dequantize = dequantize_codes<unpack<BlockQ4K>, sizeof(BlockQ4K), kLen, kSubLen, 0, true>,
    .unpack = unpack<BlockQ4K>,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ4K), 0, 2>,
    .pack_avx2 = kPackQ4K};

const Format kQ5_K = {
    .type = GgmlType::Q5_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ5K),
    .sub_block_len = kSubLen,
    .code_bits = 5,
    .offset = 0,
    .has_min = true,
    .dequantize = dequantize_codes<unpack<BlockQ5K>, sizeof(BlockQ5K), kLen, kSubLen, 0, true>,
    .unpack = unpack<BlockQ5K>,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ5K), 0, 2>,
    .pack_avx2 = kPackQ5K};

}  // namespace crossval
