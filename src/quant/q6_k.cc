// Q6_K: 256 weights of 6 bits, 16 signed 8-bit scales of 16 weights each, an f16 scale of scales.
// Layout: ggml/src/ggml-common.h `block_q6_K` and `dequantize_row_q6_K` (llama.cpp): each half of
// 128 weights takes 64 bytes of low nibbles and 32 bytes of upper bit pairs; weights l, l + 32,
// l + 64, l + 96 of the half share byte l of the pairs. weight = d * scale * (code - 32).
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 16, kSubs = kLen / kSubLen;

struct BlockQ6K {
  uint8_t low[kLen / 2];
  uint8_t high[kLen / 4];
  int8_t scales[kSubs];
  uint16_t d;
};
static_assert(sizeof(BlockQ6K) == 210);

void unpack_codes(const BlockQ6K& block, uint8_t* codes) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block.low + 64 * half;
    const uint8_t* high = block.high + 32 * half;
    uint8_t* out = codes + 128 * half;
    for (int l = 0; l < 32; ++l) {
      out[l] = static_cast<uint8_t>((low[l] & 15) | (high[l] & 3) << 4);
      out[l + 32] = static_cast<uint8_t>((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
      out[l + 64] = static_cast<uint8_t>((low[l] >> 4) | (high[l] >> 4 & 3) << 4);
      out[l + 96] = static_cast<uint8_t>((low[l + 32] >> 4) | (high[l] >> 6 & 3) << 4);
    }
  }
}

void unpack_q6_k(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ6K>(row + i * int64_t{sizeof(BlockQ6K)});
    unpack_codes(block, codes + i * kLen);
    const float scale = f16_to_f32(block.d);
    // Exact: 11 bits times 8.
    for (int j = 0; j < kSubs; ++j) d[i * kSubs + j] = scale * static_cast<float>(block.scales[j]);
  }
}

void dequantize_q6_k(const std::byte* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ6K>(row + i * int64_t{sizeof(BlockQ6K)});
    uint8_t codes[kLen];
    unpack_codes(block, codes);
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kLen; ++j) {
      const float d = scale * static_cast<float>(block.scales[j / kSubLen]);
      out[i * kLen + j] = d * static_cast<float>(codes[j] - 32);
    }
  }
}

int64_t first_non_finite_q6_k(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ6K), {offsetof(BlockQ6K, d)});
}

}  // namespace

const Format kQ6_K = {.type = GgmlType::Q6_K,
                      .activation = ActivationType::Q8_K,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ6K),
                      .sub_block_len = kSubLen,
                      .code_bits = 6,
                      .offset = 32,
                      .has_min = false,
                      .dequantize = dequantize_q6_k,
                      .unpack = unpack_q6_k,
                      .first_non_finite = first_non_finite_q6_k};

}  // namespace crossval
