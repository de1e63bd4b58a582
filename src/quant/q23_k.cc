// Q2_K and Q3_K: 256 weights of 2 or 3 bits in 16 sub-blocks of 16. Layout: ggml/src/ggml-common.h
// `block_q2_K`, `block_q3_K` and ggml-quants.c `dequantize_row_q2_K`, `dequantize_row_q3_K`
// (llama.cpp): each half of 128 weights takes 32 bytes, weight l + 32 i in bits 2i of byte l. Q2_K
// has a 4-bit scale and a 4-bit minimum per sub-block, weight = d * scale * code - dmin * minimum;
// Q3_K a 6-bit scale less 32 and a mask of third bits, weight = d * scale * (code - 4).
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 16, kSubs = kLen / kSubLen;

struct BlockQ2K {
  uint8_t scales[kSubs];
  uint8_t codes[kLen / 4];
  uint16_t d, dmin;
};
static_assert(sizeof(BlockQ2K) == 84);

struct BlockQ3K {
  uint8_t high[kLen / 8];
  uint8_t codes[kLen / 4];
  uint8_t scales[12];
  uint16_t d;
};
static_assert(sizeof(BlockQ3K) == 110);

void unpack_pairs(const uint8_t* packed, uint8_t* codes) {
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 4; ++i) {
      for (int l = 0; l < 32; ++l) {
        codes[128 * half + 32 * i + l] = packed[32 * half + l] >> (2 * i) & 3;
      }
    }
  }
}

void unpack_q2_k(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ2K>(row + i * int64_t{sizeof(BlockQ2K)});
    unpack_pairs(block.codes, codes + i * kLen);
    const float scale = f16_to_f32(block.d), scale_of_min = f16_to_f32(block.dmin);
    for (int j = 0; j < kSubs; ++j) {
      d[i * kSubs + j] = scale * static_cast<float>(block.scales[j] & 15);
      m[i * kSubs + j] = -(scale_of_min * static_cast<float>(block.scales[j] >> 4));
    }
  }
}

void unpack_q3_k(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ3K>(row + i * int64_t{sizeof(BlockQ3K)});
    uint8_t* out = codes + i * kLen;
    unpack_pairs(block.codes, out);
    for (int bit = 0; bit < 8; ++bit) {  // of byte l: the third bit of weight l + 32 bit
      for (int l = 0; l < 32; ++l) {
        out[32 * bit + l] =
            static_cast<uint8_t>(out[32 * bit + l] | (block.high[l] >> bit & 1) << 2);
      }
    }
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kSubs; ++j) {
      // Low nibbles in the first 8 bytes (scales 0 to 7 low, 8 to 15 high), upper pairs in the
      // last 4.
      const int low = j < 8 ? block.scales[j] & 15 : block.scales[j - 8] >> 4;
      const int upper = block.scales[8 + j % 4] >> (2 * (j / 4)) & 3;
      d[i * kSubs + j] = scale * static_cast<float>((low | upper << 4) - 32);
    }
  }
}

}  // namespace

const Format kQ2_K = {
    .type = GgmlType::Q2_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ2K),
    .sub_block_len = kSubLen,
    .code_bits = 4,  // 2, for which the kernels have no further use
    .offset = 0,
    .has_min = true,
    .dequantize = dequantize_codes<unpack_q2_k, sizeof(BlockQ2K), kLen, kSubLen, 0, true>,
    .unpack = unpack_q2_k,
    .first_non_finite =
        first_bad_scale<kLen, sizeof(BlockQ2K), offsetof(BlockQ2K, d), offsetof(BlockQ2K, dmin)>};

const Format kQ3_K = {
    .type = GgmlType::Q3_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ3K),
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = 4,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q3_k, sizeof(BlockQ3K), kLen, kSubLen, 4>,
    .unpack = unpack_q3_k,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ3K), offsetof(BlockQ3K, d)>};

}  // namespace crossval
