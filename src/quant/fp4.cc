// MXFP4 and NVFP4: 4-bit floats (E2M1), kept doubled so that they are whole numbers, under a power
// of two for 32 weights or a float of 8 bits (E4M3 without a sign) for 16. Layout:
// ggml/src/ggml-common.h `block_mxfp4`, `block_nvfp4`, ggml-quants.c `dequantize_row_mxfp4`,
// `dequantize_row_nvfp4`, and ggml-impl.h for the scales (llama.cpp).
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

constexpr int kNvLen = 64, kNvSubLen = 16, kNvSubs = kNvLen / kNvSubLen;
struct BlockNVFP4 {
  uint8_t d[kNvSubs];
  uint8_t codes[kNvSubs][kNvSubLen / 2];
};
static_assert(sizeof(BlockNVFP4) == 36);

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

// Half of an E4M3 number (ggml-impl.h `ggml_ue4m3_to_fp32`). The sign's bit is not looked at, and
// the NaN is 0 but for its negative twin.
constexpr std::array<float, 256> kHalvesOfE4M3 = [] {
  std::array<float, 256> values{};
  for (uint32_t e = 0; e < values.size(); ++e) {
    const uint32_t exponent = e >> 3 & 15, mantissa = e & 7;
    const uint32_t steps = exponent == 0 ? mantissa : (8 + mantissa) << (exponent - 1);
    values[e] = e == 0x7f ? 0.0f : static_cast<float>(steps) / 1024.0f;
  }
  return values;
}();

void unpack_nvfp4(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kNvLen; ++i) {
    const auto block = load_as<BlockNVFP4>(row + i * int64_t{sizeof(BlockNVFP4)});
    for (int j = 0; j < kNvSubs; ++j) {
      look_up_nibbles<kNvSubLen>(block.codes[j], kCodes, codes + i * kNvLen + j * kNvSubLen);
      d[i * kNvSubs + j] = kHalvesOfE4M3[block.d[j]];
    }
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

const Format kNVFP4 = {
    .type = GgmlType::NVFP4,
    .activation = ActivationType::Q8_0,
    .block_len = kNvLen,
    .block_bytes = sizeof(BlockNVFP4),
    .sub_block_len = kNvSubLen,
    .code_bits = 5,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_nvfp4, sizeof(BlockNVFP4), kNvLen, kNvSubLen, kOffset>,
    .unpack = unpack_nvfp4,
    .first_non_finite = no_scales};  // 240 is the largest of them

}  // namespace crossval
