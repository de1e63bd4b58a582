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

#if defined(__x86_64__)
CROSSVAL_AVX2 void pack_q8_0(const std::byte* row, int64_t row_bytes, int64_t n,
                             const CodePanel& panel) {
  const __m256i sign = _mm256_set1_epi8(-128);
  for (int64_t i = 0; i < n / kLen; ++i) {
    uint8_t* codes = panel.codes + i * kLen * kPanelRows;
    for (int half = 0; half < kPanelRows; half += 8) {
      const std::byte* block = row + half * row_bytes + i * int64_t{sizeof(BlockQ8_0)};
      if (panel.asks_ahead && i % 2 == 0) prefetch_next_panel(block, row_bytes);
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

// Sums of each of 8 vectors' lanes.
CROSSVAL_AVX2_INLINE __m256i sum_lanes(const __m256i (&v)[8]) {
  const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                          _mm256_permute2x128_si256(a, b, 0x31));
}

// Row by row: magnitude of the weight times activation with the weight's sign. -128 is 128 as an
// unsigned magnitude, and 2 * 128 * 127 fits in an int16. The codes are not shifted here, so
// OneToken::sums is not needed.
CROSSVAL_AVX2 void dot_q8_0(const std::byte* row, int64_t row_bytes, int64_t n, const OneToken& x,
                            float* y) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int half = 0; half < kPanelRows; half += 8) {
    const std::byte* block = row + half * row_bytes;
    const std::byte* ahead = block + kPanelRows * row_bytes;
    __m256 acc = _mm256_setzero_ps();
    for (int64_t i = 0; i < n / kLen; ++i) {
      prefetch_bytes<8 * sizeof(BlockQ8_0)>(ahead);
      ahead += 8 * sizeof(BlockQ8_0);
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.codes + i * kLen));
      __m256i products[8];
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) {
        const __m256i w = _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(block + r * row_bytes + offsetof(BlockQ8_0, codes)));
        products[r] = _mm256_madd_epi16(
            _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)), ones);
      }
      const __m256 d =
          _mm256_mul_ps(load_f16_column(block, row_bytes), _mm256_broadcast_ss(x.d + i));
      acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(sum_lanes(products)), acc);
      block += sizeof(BlockQ8_0);
    }
    _mm256_storeu_ps(y + half, acc);
  }
}
#else
constexpr decltype(Format::pack_avx2) pack_q8_0 = nullptr;
constexpr decltype(Format::dot_avx2) dot_q8_0 = nullptr;
#endif

}  // namespace

const Format kQ8_0 = {
    .type = GgmlType::Q8_0,
    .activation = ActivationType::Q8_0,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ8_0),
    .sub_block_len = kLen,
    .code_bits = 8,
    .offset = 128,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q8_0, sizeof(BlockQ8_0), kLen, kLen, 128>,
    .unpack = unpack_q8_0,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ8_0), 0>,
    .pack_avx2 = pack_q8_0,
    .dot_avx2 = dot_q8_0};

}  // namespace crossval
