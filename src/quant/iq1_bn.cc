// IQ1_BN of ik_llama.cpp: weights of -1, 0, +1, five of them a byte, one f16 scale a row. Layout
// (ggml/src/iqk/iqk_quantize.cpp `quantize_one_row_1bn`, `dequantize_row_iq1_bn`): 64 weights in 13
// bytes; 15 of each 16 are the digits of a number in base 3 (scaled to 256) in three bytes, and the
// 16th ones are in the last byte. Activations are rounded with four scales a row (four_scales.h).
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 64, kBytes = 13, kSubLen = 16, kOffset = 1;

// Digit i of a byte's five.
uint8_t digit(std::byte byte, int i) {
  constexpr unsigned kPowers[] = {81, 27, 9, 3, 1};
  const unsigned fraction = static_cast<unsigned>(byte) * kPowers[i] & 255u;
  return static_cast<uint8_t>((fraction + (fraction >> 1)) >> 7);
}

void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const std::byte* block = row + i * kBytes;
    for (int sub = 0; sub < kLen / kSubLen; ++sub) {
      uint8_t* to = codes + i * kLen + sub * kSubLen;
      for (int k = 0; k < 15; ++k) to[k] = digit(block[3 * sub + k / 5], k % 5);
      to[15] = digit(block[12], sub);
    }
  }
  for (int64_t sub = 0; sub < n / kSubLen; ++sub) d[sub] = 1.0f;
}

}  // namespace

const Format kIQ1_BN = {.type = GgmlType::IQ1_BN,
                        .activation = ActivationType::I8_FOUR,
                        .block_len = kLen,
                        .block_bytes = kBytes,
                        .sub_block_len = kSubLen,
                        .code_bits = 4,  // 2, for which the kernels have no further use
                        .offset = kOffset,
                        .has_min = false,
                        .dequantize = dequantize_codes<unpack, kBytes, kLen, kSubLen, kOffset>,
                        .unpack = unpack,
                        .first_non_finite = no_scales,
                        .row_scale = {.n_bytes = 2}};

}  // namespace crossval
