// Q8_0: 32 weights of 8 signed bits with an f16 scale. Layout: ggml/src/ggml-common.h
// `block_q8_0` (llama.cpp). Codes are shifted by 128, so that every format's codes are unsigned.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 32;

struct BlockQ8_0 {
  uint16_t d;
  int8_t codes[kLen];
};
static_assert(sizeof(BlockQ8_0) == 34);

void unpack_q8_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ8_0>(row + i * int64_t{sizeof(BlockQ8_0)});
    for (int j = 0; j < kLen; ++j) codes[i * kLen + j] = static_cast<uint8_t>(block.codes[j] ^ 128);
    d[i] = f16_to_f32(block.d);
  }
}

void dequantize_q8_0(const std::byte* row, int64_t n, float* out) {
  dequantize_codes<unpack_q8_0, kLen, kLen, 128>(row, n, sizeof(BlockQ8_0), out);
}

int64_t first_non_finite_q8_0(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ8_0), {0});
}

#if defined(__x86_64__)
CROSSVAL_AVX2 void pack_q8_0(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  const __m256i sign = _mm256_set1_epi8(-128);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(BlockQ8_0)};
      if (i % 2 == 0) prefetch_next_panel(block, row_bytes);
#pragma GCC unroll 2
      for (int part = 0; part < 2; ++part) {
        __m256i turned[4];
        turn_16_bytes(block + offsetof(BlockQ8_0, codes) + 16 * part, row_bytes, turned);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          store_codes(codes + 4 * ((4 * part + j) * kPanelRows + half),
                      _mm256_xor_si256(turned[j], sign));
        }
      }
      _mm256_storeu_ps(panel.d + i * kPanelRows + half, load_f16_column(block, row_bytes));
    }
  }
}
#else
constexpr decltype(Format::pack_avx2) pack_q8_0 = nullptr;
#endif

}  // namespace

const Format kQ8_0 = {.type = GgmlType::Q8_0,
                      .activation = ActivationType::Q8_0,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ8_0),
                      .sub_block_len = kLen,
                      .code_bits = 8,
                      .offset = 128,
                      .has_min = false,
                      .dequantize = dequantize_q8_0,
                      .unpack = unpack_q8_0,
                      .first_non_finite = first_non_finite_q8_0,
                      .pack_avx2 = pack_q8_0};

}  // namespace crossval
