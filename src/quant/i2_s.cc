// I2_S of bitnet.cpp: weights of -1, 0, +1 in 2 bits, one f32 scale for the tensor.
// Layout of the x86 quantiser (microsoft/BitNet, Oct 2024, src/ggml-bitnet-mad.cpp
// `quantize_i2_s`): 128 weights in 32 bytes, byte p holds weights p, p + 32, p + 64, p + 96 from
// its highest bits down; weight = scale * (code - 1). The scale follows all rows. Code 3, which the
// quantiser never means to write, is +2, because that is what the engine's arithmetic makes of it.
// ARM builds and newer x86 builds lay weights out otherwise under the same type id, and nothing in
// the file says so.
#include "quant/format_rows.h"
#include "quant/pack_avx2.h"

namespace crossval {
namespace {

constexpr int kLen = 128, kBytes = 32, kSubLen = 32, kOffset = 1;

void unpack_i2_s(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    for (int p = 0; p < kBytes; ++p) {
      const auto packed = static_cast<unsigned>(row[i * kBytes + p]);
      for (int j = 0; j < 4; ++j) {
        codes[i * kLen + 32 * j + p] = static_cast<uint8_t>(packed >> (6 - 2 * j) & 3u);
      }
    }
  }
  for (int64_t sub = 0; sub < n / kSubLen; ++sub) d[sub] = 1.0f;
}

#if defined(__x86_64__)
CROSSVAL_AVX2 void pack_i2_s(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  const __m256i low_bits = _mm256_set1_epi8(3);
  const __m256 one = _mm256_set1_ps(1.0f);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * kBytes;
      if (i % 2 == 0) prefetch_next_panel(block, row_bytes);
#pragma GCC unroll 2
      for (int part = 0; part < 2; ++part) {
        __m256i packed[4];
        turn_16_bytes(block + 16 * part, row_bytes, packed);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          uint8_t* to = codes + 4 * ((4 * part + k) * kPanelRows + half);
          constexpr int kNext = kSubLen * kPanelRows;
          store_codes(to, _mm256_and_si256(_mm256_srli_epi16(packed[k], 6), low_bits));
          store_codes(to + kNext, _mm256_and_si256(_mm256_srli_epi16(packed[k], 4), low_bits));
          store_codes(to + 2 * kNext, _mm256_and_si256(_mm256_srli_epi16(packed[k], 2), low_bits));
          store_codes(to + 3 * kNext, _mm256_and_si256(packed[k], low_bits));
        }
      }
    }
  }
  for (int64_t at = 0; at < n / kSubLen * kPanelRows; at += 8) _mm256_storeu_ps(panel.d + at, one);
}

constexpr int kRowsAtOnce = 4;

// kRowsAtOnce rows of n weights times x. A byte's two bits j meet activation 32 j + p of the block;
// int16 holds the sums of kRun blocks even if all codes are 3 and all activations -128:
// 4 * 2 * 3 * 128 * 10 < 32768.
CROSSVAL_AVX2_INLINE void dot_rows(const std::byte* row, int64_t row_bytes, int64_t n,
                                   const int8_t* x, int32_t (&out)[kRowsAtOnce]) {
  constexpr int64_t kRun = 10;
  const __m256i low_bits = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  const int64_t n_blocks = n / kLen;
  __m256i total[kRowsAtOnce] = {};
  for (int64_t run = 0; run < n_blocks; run += kRun) {
    const int64_t end = run + kRun < n_blocks ? run + kRun : n_blocks;
    __m256i part[kRowsAtOnce] = {};
    for (int64_t i = run; i < end; ++i) {
      const auto* a = reinterpret_cast<const __m256i*>(x + i * kLen);
#pragma GCC unroll 4
      for (int r = 0; r < kRowsAtOnce; ++r) {
        const auto* block = reinterpret_cast<const __m256i*>(row + r * row_bytes + i * kBytes);
        const __m256i packed = _mm256_loadu_si256(block);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m256i codes = _mm256_and_si256(_mm256_srli_epi16(packed, 6 - 2 * j), low_bits);
          part[r] =
              _mm256_add_epi16(part[r], _mm256_maddubs_epi16(codes, _mm256_loadu_si256(a + j)));
        }
      }
    }
    for (int r = 0; r < kRowsAtOnce; ++r) {
      total[r] = _mm256_add_epi32(total[r], _mm256_madd_epi16(part[r], ones));
    }
  }
  for (int r = 0; r < kRowsAtOnce; ++r) {
    alignas(32) int32_t lanes[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), total[r]);
    out[r] = 0;
    for (const int32_t lane : lanes) out[r] += lane;
  }
}

CROSSVAL_AVX2 void dot_i2_s(const std::byte* row, int64_t row_bytes, int64_t n, const OneToken& x,
                            float* y) {
  for (int r = 0; r < kPanelRows; r += kRowsAtOnce) {
    int32_t sums[kRowsAtOnce];
    dot_rows(row + r * row_bytes, row_bytes, n, x.codes, sums);
    for (int i = 0; i < kRowsAtOnce; ++i) {
      y[r + i] = static_cast<float>(sums[i]) - static_cast<float>(x.sums[0]);
    }
  }
}
#else
constexpr decltype(Format::pack_avx2) pack_i2_s = nullptr;
constexpr decltype(Format::dot_avx2) dot_i2_s = nullptr;
#endif

}  // namespace

const Format kI2_S = {.type = GgmlType::I2_S,
                      .activation = ActivationType::I8_ROW,
                      .block_len = kLen,
                      .block_bytes = kBytes,
                      .sub_block_len = kSubLen,
                      .code_bits = 2,
                      .offset = kOffset,
                      .has_min = false,
                      .dequantize = dequantize_codes<unpack_i2_s, kBytes, kLen, kSubLen, kOffset>,
                      .unpack = unpack_i2_s,
                      .first_non_finite = no_scales,
                      .pack_avx2 = pack_i2_s,
                      .dot_avx2 = dot_i2_s,
                      .has_tensor_scale = true};

}  // namespace crossval
