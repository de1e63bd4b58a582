// IQ2_BN of ik_llama.cpp: weights of -1, 0, +1 in 2 bits, one f32 scale a row.
// Layout (ikawrakow/ik_llama.cpp, ggml/src/iqk/iqk_quantize.cpp `quantize_one_row_2bn`): the row's
// scale, then 64 weights in 16 bytes, byte p holds weights p, p + 16, p + 32, p + 48 from its
// lowest bits up; weight = scale * (code - 1). Code 3, which is never written on purpose, is +2.
// Activations are rounded with four scales a row (four_scales.h).
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 64, kBytes = 16, kSubLen = 16, kOffset = 1;

void unpack_iq2_bn(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    for (int p = 0; p < kBytes; ++p) {
      const auto packed = static_cast<unsigned>(row[i * kBytes + p]);
      for (int j = 0; j < 4; ++j) {
        codes[i * kLen + 16 * j + p] = static_cast<uint8_t>(packed >> (2 * j) & 3u);
      }
    }
  }
  for (int64_t sub = 0; sub < n / kSubLen; ++sub) d[sub] = 1.0f;
}

#if defined(__x86_64__)
CROSSVAL_AVX2 void pack_iq2_bn(const std::byte* row, int64_t row_bytes, int64_t n,
                               const CodePanel& panel) {
  const __m256i low_bits = _mm256_set1_epi8(3);
  const __m256 one = _mm256_set1_ps(1.0f);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * kBytes;
      if (i % 4 == 0 && panel.asks_ahead) prefetch_next_panel(block, row_bytes);
      __m256i packed[4];
      turn_16_bytes(block, row_bytes, packed);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        uint8_t* to = codes + 4 * (k * kPanelRows + half);
        constexpr int kNext = 16 * kPanelRows;
        store_codes(to, _mm256_and_si256(packed[k], low_bits));
        store_codes(to + kNext, _mm256_and_si256(_mm256_srli_epi16(packed[k], 2), low_bits));
        store_codes(to + 2 * kNext, _mm256_and_si256(_mm256_srli_epi16(packed[k], 4), low_bits));
        store_codes(to + 3 * kNext, _mm256_and_si256(_mm256_srli_epi16(packed[k], 6), low_bits));
      }
    }
  }
  for (int64_t at = 0; at < n / kSubLen * kPanelRows; at += 8) _mm256_storeu_ps(panel.d + at, one);
}
#else
constexpr decltype(Format::pack_avx2) pack_iq2_bn = nullptr;
#endif

}  // namespace

const Format kIQ2_BN = {
    .type = GgmlType::IQ2_BN,
    .activation = ActivationType::I8_FOUR,
    .block_len = kLen,
    .block_bytes = kBytes,
    .sub_block_len = kSubLen,
    .code_bits = 4,  // 2, for which the kernels have no further use
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq2_bn, kBytes, kLen, kSubLen, kOffset>,
    .unpack = unpack_iq2_bn,
    .first_non_finite = no_scales,
    .pack_avx2 = pack_iq2_bn,
    .row_scale = {.n_bytes = 4}};

}  // namespace crossval
