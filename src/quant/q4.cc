// Q4_0 and Q4_1: 32 weights of 4 bits with an f16 scale (and, in Q4_1, an f16 minimum).
// Layout: ggml/src/ggml-common.h `block_q4_0`, `block_q4_1` (llama.cpp): byte j holds weight j in
// its low and weight j + 16 in its high nibble; weight = d * (code - 8) or d * code + m.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 32;

struct BlockQ4_0 {
  uint16_t d;
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ4_0) == 18);

struct BlockQ4_1 {
  uint16_t d, m;
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ4_1) == 20);

void unpack_q4_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ4_0>(row + i * int64_t{sizeof(BlockQ4_0)});
    unpack_nibbles<kLen>(block.codes, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_q4_1(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ4_1>(row + i * int64_t{sizeof(BlockQ4_1)});
    unpack_nibbles<kLen>(block.codes, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
    m[i] = f16_to_f32(block.m);
  }
}

#if defined(__x86_64__)
CROSSVAL_AVX2_INLINE void store_nibbles(__m256i packed, uint8_t* to) {
  const __m256i nibble = _mm256_set1_epi8(15);
  store_codes(to, _mm256_and_si256(packed, nibble));
  store_codes(to + 16 * kPanelRows, _mm256_and_si256(_mm256_srli_epi16(packed, 4), nibble));
}

CROSSVAL_AVX2 void pack_q4_0(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(BlockQ4_0)};
      if (panel.asks_ahead && i % 3 == 0) prefetch_next_panel(block, row_bytes);
      __m256i packed[4];
      turn_16_bytes(block + offsetof(BlockQ4_0, codes), row_bytes, packed);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) store_nibbles(packed[j], codes + 4 * (j * kPanelRows + half));
      _mm256_storeu_ps(panel.d + i * kPanelRows + half, load_f16_column(block, row_bytes));
    }
  }
}

// Words of 8 rows: the two f16 of a block -> floats.
CROSSVAL_AVX2_INLINE void split_scales(__m256i words, __m256& d, __m256& m) {
  const __m256i apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15,  //
                                         0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  const __m256i halves = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(words, apart), 0xd8);
  d = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
  m = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
}

// A block of Q4_1 is five words, so 16 bytes are turned at a time without regard to blocks: word w
// of kBlocks blocks belongs to block w / 5, the scales being word 0 of each. What is left at the
// end is turned once more together with words already seen.
template <int kBlocks>
CROSSVAL_AVX2_INLINE void pack_blocks_q4_1(const std::byte* at, int64_t row_bytes, uint8_t* codes,
                                           float* d, float* m) {
  constexpr int kWords = 5 * kBlocks;
#pragma GCC unroll 5
  for (int word = 0; word < kWords; word += 4) {
    const int from = word + 4 <= kWords ? word : kWords - 4;
    __m256i turned[4];
    turn_16_bytes(at + 4 * from, row_bytes, turned);
#pragma GCC unroll 4
    for (int w = word; w < from + 4; ++w) {
      const int block = w / 5, part = w % 5 - 1;
      if (part >= 0) {
        store_nibbles(turned[w - from], codes + (block * kLen + 4 * part) * kPanelRows);
        continue;
      }
      __m256 block_d, block_m;
      split_scales(turned[w - from], block_d, block_m);
      _mm256_storeu_ps(d + block * kPanelRows, block_d);
      _mm256_storeu_ps(m + block * kPanelRows, block_m);
    }
  }
}

CROSSVAL_AVX2 void pack_q4_1(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  constexpr int64_t kBytes = sizeof(BlockQ4_1);
  const int64_t n_blocks = n / kLen;
  for (int half = 0; half < kPanelRows; half += 8) {
    const std::byte* at = row + half * row_bytes;
    uint8_t* codes = panel.codes + 4 * half;
    float* d = panel.d + half;
    float* m = panel.m + half;
    int64_t i = 0;
    const auto step = [&](int64_t n_packed) __attribute__((always_inline)) {
      i += n_packed;
      at += n_packed * kBytes;
      codes += n_packed * kLen * kPanelRows;
      d += n_packed * kPanelRows;
      m += n_packed * kPanelRows;
    };
    while (i + 4 <= n_blocks) {
      if (panel.asks_ahead) {
        prefetch_next_panel(at, row_bytes);
        prefetch_next_panel(at + 2 * kBytes, row_bytes);
      }
      pack_blocks_q4_1<4>(at, row_bytes, codes, d, m);
      step(4);
    }
    while (i < n_blocks) {
      if (panel.asks_ahead) prefetch_next_panel(at, row_bytes);
      pack_blocks_q4_1<1>(at, row_bytes, codes, d, m);
      step(1);
    }
  }
}

// Products of word `j` of a block (weights 4j to 4j + 3 and 16 more) of 8 rows, in pairs. A block's
// 16 products of 15 * 128, two to an int16, cannot overflow it.
CROSSVAL_AVX2_INLINE __m256i multiply_nibbles(__m256i packed, const int8_t* codes) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), nibble);
  return _mm256_add_epi16(
      _mm256_maddubs_epi16(_mm256_and_si256(packed, nibble), repeat_4_codes(codes)),
      _mm256_maddubs_epi16(high, repeat_4_codes(codes + kLen / 2)));
}

CROSSVAL_AVX2 void dot_q4_0(const std::byte* row, int64_t row_bytes, int64_t n, const OneToken& x,
                            float* y) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int half = 0; half < kPanelRows; half += 8) {
    const std::byte* block = row + half * row_bytes;
    const std::byte* ahead = block + kPanelRows * row_bytes;
    __m256 acc = _mm256_setzero_ps();
    for (int64_t i = 0; i < n / kLen; ++i) {
      prefetch_bytes<8 * sizeof(BlockQ4_0)>(ahead);
      ahead += 8 * sizeof(BlockQ4_0);
      __m256i packed[4];
      turn_16_bytes(block + offsetof(BlockQ4_0, codes), row_bytes, packed);
      __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        sum = _mm256_add_epi16(sum, multiply_nibbles(packed[j], x.codes + i * kLen + 4 * j));
      }
      acc = add_sub_block<false>(acc, _mm256_madd_epi16(sum, ones),
                                 load_f16_column(block, row_bytes), acc, x, i);
      block += sizeof(BlockQ4_0);
    }
    _mm256_storeu_ps(y + half, acc);
  }
}

// Words as in pack_blocks_q4_1.
template <int kBlocks>
CROSSVAL_AVX2_INLINE __m256 dot_blocks_q4_1(const std::byte* at, int64_t row_bytes,
                                            const OneToken& x, int64_t first, __m256 acc) {
  constexpr int kWords = 5 * kBlocks;
  __m256 d = acc, m = acc;
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 5
  for (int word = 0; word < kWords; word += 4) {
    const int from = word + 4 <= kWords ? word : kWords - 4;
    __m256i turned[4];
    turn_16_bytes(at + 4 * from, row_bytes, turned);
#pragma GCC unroll 4
    for (int w = word; w < from + 4; ++w) {
      const int64_t block = first + w / 5;
      const int part = w % 5 - 1;
      if (part < 0) {
        split_scales(turned[w - from], d, m);
        continue;
      }
      const __m256i products =
          multiply_nibbles(turned[w - from], x.codes + block * kLen + 4 * part);
      sum = part == 0 ? products : _mm256_add_epi16(sum, products);
      if (part < 3) continue;
      acc = add_sub_block<true>(acc, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)), d, m, x, block);
    }
  }
  return acc;
}

CROSSVAL_AVX2 void dot_q4_1(const std::byte* row, int64_t row_bytes, int64_t n, const OneToken& x,
                            float* y) {
  constexpr int64_t kBytes = sizeof(BlockQ4_1);
  const int64_t n_blocks = n / kLen;
  for (int half = 0; half < kPanelRows; half += 8) {
    const std::byte* rows = row + half * row_bytes;
    __m256 acc = _mm256_setzero_ps();
    int64_t i = 0;
    for (; i + 4 <= n_blocks; i += 4) {
      prefetch_bytes<32 * kBytes>(rows + kPanelRows * row_bytes + 8 * i * kBytes);
      acc = dot_blocks_q4_1<4>(rows + i * kBytes, row_bytes, x, i, acc);
    }
    for (; i < n_blocks; ++i) {
      prefetch_bytes<8 * kBytes>(rows + kPanelRows * row_bytes + 8 * i * kBytes);
      acc = dot_blocks_q4_1<1>(rows + i * kBytes, row_bytes, x, i, acc);
    }
    _mm256_storeu_ps(y + half, acc);
  }
}
#else
constexpr decltype(Format::pack_avx2) pack_q4_0 = nullptr, pack_q4_1 = nullptr;
constexpr decltype(Format::dot_avx2) dot_q4_0 = nullptr, dot_q4_1 = nullptr;
#endif

}  // namespace

const Format kQ4_0 = {.type = GgmlType::Q4_0,
                      .activation = ActivationType::Q8_0,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ4_0),
                      .sub_block_len = kLen,
                      .code_bits = 4,
                      .offset = 8,
                      .has_min = false,
                      .dequantize = dequantize_codes<unpack_q4_0, sizeof(BlockQ4_0), kLen, kLen, 8>,
                      .unpack = unpack_q4_0,
                      .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ4_0), 0>,
                      .pack_avx2 = pack_q4_0,
                      .dot_avx2 = dot_q4_0};

const Format kQ4_1 = {
    .type = GgmlType::Q4_1,
    .activation = ActivationType::Q8_1,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ4_1),
    .sub_block_len = kLen,
    .code_bits = 4,
    .offset = 0,
    .has_min = true,
    .dequantize = dequantize_codes<unpack_q4_1, sizeof(BlockQ4_1), kLen, kLen, 0, true>,
    .unpack = unpack_q4_1,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ4_1), 0, 2>,
    .pack_avx2 = pack_q4_1,
    .dot_avx2 = dot_q4_1};

}  // namespace crossval
