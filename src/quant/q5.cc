// Q5_0 and Q5_1: 32 weights of 5 bits with an f16 scale (and, in Q5_1, an f16 minimum).
// Layout: ggml/src/ggml-common.h `block_q5_0`, `block_q5_1` (llama.cpp): nibbles as in Q4, the
// fifth bit of weight j is bit j of a 32-bit little-endian word; weight = d * (code - 16) or
// d * code + m.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 32;

struct BlockQ5_0 {
  uint16_t d;
  uint8_t high[4];
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct BlockQ5_1 {
  uint16_t d, m;
  uint8_t high[4];
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ5_1) == 24);

void unpack_5_bits(const uint8_t* packed, const uint8_t* high_bits, uint8_t* codes) {
  const auto high = load_as<uint32_t>(high_bits);
  for (int j = 0; j < kLen / 2; ++j) {
    codes[j] = static_cast<uint8_t>((packed[j] & 15) | ((high >> j & 1) << 4));
    codes[j + kLen / 2] = static_cast<uint8_t>((packed[j] >> 4) | ((high >> (j + 16) & 1) << 4));
  }
}

void unpack_q5_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_0>(row + i * int64_t{sizeof(BlockQ5_0)});
    unpack_5_bits(block.codes, block.high, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_q5_1(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_1>(row + i * int64_t{sizeof(BlockQ5_1)});
    unpack_5_bits(block.codes, block.high, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
    m[i] = f16_to_f32(block.m);
  }
}

#if defined(__x86_64__)
// Fifth bits of weights 4j to 4j + 3 of 8 rows, as 16 in the byte of their code. `words` holds the
// rows' 32-bit words.
template <int j>
CROSSVAL_AVX2_INLINE __m256i fifth_bits(__m256i words) {
  // Each row's byte j / 2 into all of its four bytes, then one bit of it in each.
  constexpr int kByte = 0x01010101 * (j / 2);
  const __m256i pick = _mm256_add_epi8(_mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0,
                                                         0x04040404, 0x08080808, 0x0c0c0c0c),
                                       _mm256_set1_epi32(kByte));
  const __m256i bit = _mm256_set1_epi32(j % 2 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
  const __m256i bytes = _mm256_and_si256(_mm256_shuffle_epi8(words, pick), bit);
  return _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bit), _mm256_set1_epi8(16));
}

template <typename Block, bool kHasMin>
CROSSVAL_AVX2 void pack_q5(const std::byte* row, int64_t row_bytes, int64_t n,
                           const CodePanel& panel) {
  const __m256i nibble = _mm256_set1_epi8(15);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(Block)};
      if (i % 2 == 0) prefetch_next_panel(block, row_bytes);
      int32_t high[8];
      for (int r = 0; r < 8; ++r) {
        high[r] = load_as<int32_t>(block + offsetof(Block, high) + r * row_bytes);
      }
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high));
      __m256i packed[4];
      turn_16_bytes(block + offsetof(Block, codes), row_bytes, packed);
      const __m256i bits[8] = {fifth_bits<0>(words), fifth_bits<1>(words), fifth_bits<2>(words),
                               fifth_bits<3>(words), fifth_bits<4>(words), fifth_bits<5>(words),
                               fifth_bits<6>(words), fifth_bits<7>(words)};
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        uint8_t* to = codes + 4 * (j * kPanelRows + half);
        const __m256i low = _mm256_and_si256(packed[j], nibble);
        const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(packed[j], 4), nibble);
        store_codes(to, _mm256_or_si256(low, bits[j]));
        store_codes(to + 16 * kPanelRows, _mm256_or_si256(upper, bits[j + 4]));
      }
      _mm256_storeu_ps(panel.d + i * kPanelRows + half, load_f16_column(block, row_bytes));
      if (!kHasMin) continue;
      _mm256_storeu_ps(panel.m + i * kPanelRows + half, load_f16_column(block + 2, row_bytes));
    }
  }
}
constexpr auto kPackQ50 = pack_q5<BlockQ5_0, false>;
constexpr auto kPackQ51 = pack_q5<BlockQ5_1, true>;
#else
constexpr decltype(Format::pack_avx2) kPackQ50 = nullptr, kPackQ51 = nullptr;
#endif

}  // namespace

const Format kQ5_0 = {
    .type = GgmlType::Q5_0,
    .activation = ActivationType::Q8_0,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ5_0),
    .sub_block_len = kLen,
    .code_bits = 5,
    .offset = 16,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q5_0, sizeof(BlockQ5_0), kLen, kLen, 16>,
    .unpack = unpack_q5_0,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ5_0), 0>,
    .pack_avx2 = kPackQ50};

const Format kQ5_1 = {
    .type = GgmlType::Q5_1,
    .activation = ActivationType::Q8_1,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ5_1),
    .sub_block_len = kLen,
    .code_bits = 5,
    .offset = 0,
    .has_min = true,
    .dequantize = dequantize_codes<unpack_q5_1, sizeof(BlockQ5_1), kLen, kLen, 0, true>,
    .unpack = unpack_q5_1,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ5_1), 0, 2>,
    .pack_avx2 = kPackQ51};

}  // namespace crossval
