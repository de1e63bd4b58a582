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

void unpack_nibbles(const uint8_t* packed, uint8_t* codes) {
  for (int j = 0; j < kLen / 2; ++j) {
    codes[j] = packed[j] & 15;
    codes[j + kLen / 2] = packed[j] >> 4;
  }
}

void unpack_q4_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ4_0>(row + i * int64_t{sizeof(BlockQ4_0)});
    unpack_nibbles(block.codes, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_q4_1(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ4_1>(row + i * int64_t{sizeof(BlockQ4_1)});
    unpack_nibbles(block.codes, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
    m[i] = f16_to_f32(block.m);
  }
}

void dequantize_q4_0(const std::byte* row, int64_t n, float* out) {
  dequantize_codes<unpack_q4_0, kLen, kLen, 8>(row, n, sizeof(BlockQ4_0), out);
}

void dequantize_q4_1(const std::byte* row, int64_t n, float* out) {
  dequantize_codes<unpack_q4_1, kLen, kLen, 0, true>(row, n, sizeof(BlockQ4_1), out);
}

int64_t first_non_finite_q4_0(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ4_0), {0});
}

int64_t first_non_finite_q4_1(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ4_1), {0, 2});
}

#if defined(__x86_64__)
template <typename Block, bool kHasMin>
CROSSVAL_AVX2 void pack_q4(const std::byte* row, int64_t row_bytes, int64_t n,
                           const CodePanel& panel) {
  const __m256i nibble = _mm256_set1_epi8(15);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(Block)};
      if (i % 3 == 0) prefetch_next_panel(block, row_bytes);
      __m256i packed[4];
      turn_16_bytes(block + offsetof(Block, codes), row_bytes, packed);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        uint8_t* to = codes + 4 * (j * kPanelRows + half);
        store_codes(to, _mm256_and_si256(packed[j], nibble));
        store_codes(to + 16 * kPanelRows,
                    _mm256_and_si256(_mm256_srli_epi16(packed[j], 4), nibble));
      }
      _mm256_storeu_ps(panel.d + i * kPanelRows + half, load_f16_column(block, row_bytes));
      if (!kHasMin) continue;
      _mm256_storeu_ps(panel.m + i * kPanelRows + half, load_f16_column(block + 2, row_bytes));
    }
  }
}
constexpr auto pack_q4_0 = pack_q4<BlockQ4_0, false>;
constexpr auto pack_q4_1 = pack_q4<BlockQ4_1, true>;
#else
constexpr decltype(Format::pack_avx2) pack_q4_0 = nullptr, pack_q4_1 = nullptr;
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
                      .dequantize = dequantize_q4_0,
                      .unpack = unpack_q4_0,
                      .first_non_finite = first_non_finite_q4_0,
                      .pack_avx2 = pack_q4_0};

const Format kQ4_1 = {.type = GgmlType::Q4_1,
                      .activation = ActivationType::Q8_1,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ4_1),
                      .sub_block_len = kLen,
                      .code_bits = 4,
                      .offset = 0,
                      .has_min = true,
                      .dequantize = dequantize_q4_1,
                      .unpack = unpack_q4_1,
                      .first_non_finite = first_non_finite_q4_1,
                      .pack_avx2 = pack_q4_1};

}  // namespace crossval
