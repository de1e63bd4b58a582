// MXFP4: 4-bit floats (E2M1), kept doubled so that they are whole numbers, under a power of two for
// 32 weights. Layout: ggml/src/ggml-common.h `block_mxfp4`, ggml-quants.c `dequantize_row_mxfp4`,
// and ggml-impl.h for the scale (llama.cpp).
#include <array>
#include <bit>
#include <cmath>

#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kOffset = 12;
// Twice the values of E2M1, with kOffset: bit 3 is the sign.
constexpr std::array<uint8_t, 16> kCodes = {12, 13, 14, 15, 16, 18, 20, 24,
                                            12, 11, 10, 9,  8,  6,  4,  0};

struct BlockMXFP4 {
  uint8_t e;
  uint8_t codes[16];
};
static_assert(sizeof(BlockMXFP4) == 17);
constexpr int kLen = 32;

// Half of 2^(e - 127): the codes are doubled. 0 and 1 are denormal; 255, a NaN in the standard, is
// the next power here.
float half_of_e8m0(uint8_t e) {
  return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

void unpack_mxfp4(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockMXFP4>(row + i * int64_t{sizeof(BlockMXFP4)});
    look_up_nibbles<kLen>(block.codes, kCodes, codes + i * kLen);
    d[i] = half_of_e8m0(block.e);
  }
}

// The largest scales make the largest codes infinite.
int64_t first_overflow(const std::byte* row, int64_t n) {
  constexpr uint8_t first_that_can = 252;  // 8 x 2^124 is 2^127, 8 x 2^125 no float any more
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockMXFP4>(row + i * int64_t{sizeof(BlockMXFP4)});
    if (block.e < first_that_can) continue;
    uint8_t codes[kLen];
    look_up_nibbles<kLen>(block.codes, kCodes, codes);
    for (int j = 0; j < kLen; ++j) {
      if (!std::isfinite(half_of_e8m0(block.e) * static_cast<float>(codes[j] - kOffset))) {
        return i * kLen + j;
      }
    }
  }
  return -1;
}

}  // namespace

const Format kMXFP4 = {
    .type = GgmlType::MXFP4,
    .activation = ActivationType::Q8_0,
    .block_len = kLen,
    .block_bytes = sizeof(BlockMXFP4),
    .sub_block_len = kLen,
    .code_bits = 5,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_mxfp4, sizeof(BlockMXFP4), kLen, kLen, kOffset>,
    .unpack = unpack_mxfp4,
    .first_non_finite = first_overflow};

}  // namespace crossval
