// TQ1_0 and TQ2_0: 256 weights of -1, 0, +1 with an f16 scale. Layout: ggml/src/ggml-common.h
// `block_tq1_0`, `block_tq2_0` and ggml-quants.c `dequantize_row_tq1_0`, `dequantize_row_tq2_0`
// (llama.cpp). TQ2_0: two halves of 32 bytes, weight m + 32 l of a half in bits 2l of byte m.
// TQ1_0: five weights a byte as the digits of a number in base 3 (scaled to 256), in groups of 32
// and then 16 bytes; four bytes with four digits each hold the last 16 weights.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 32, kSubs = kLen / kSubLen, kOffset = 1;

struct BlockTQ1 {
  uint8_t fives[48];
  uint8_t fours[4];
  uint16_t d;
};
static_assert(sizeof(BlockTQ1) == 54);

struct BlockTQ2 {
  uint8_t codes[kLen / 4];
  uint16_t d;
};
static_assert(sizeof(BlockTQ2) == 66);

// n_digits digits of n_bytes bytes: out[digit * n_bytes + byte].
uint8_t* unpack_digits(const uint8_t* bytes, int n_bytes, int n_digits, uint8_t* out) {
  unsigned power = 1;
  for (int digit = 0; digit < n_digits; ++digit) {
    for (int i = 0; i < n_bytes; ++i) {
      const unsigned fraction = bytes[i] * power & 255u;
      *out++ = static_cast<uint8_t>(fraction * 3 >> 8);
    }
    power *= 3;
  }
  return out;
}

void unpack_tq1_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockTQ1>(row + i * int64_t{sizeof(BlockTQ1)});
    uint8_t* out = unpack_digits(block.fives, 32, 5, codes + i * kLen);
    out = unpack_digits(block.fives + 32, 16, 5, out);
    unpack_digits(block.fours, 4, 4, out);
    for (int j = 0; j < kSubs; ++j) d[i * kSubs + j] = f16_to_f32(block.d);
  }
}

void unpack_tq2_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockTQ2>(row + i * int64_t{sizeof(BlockTQ2)});
    for (int half = 0; half < 2; ++half) {
      for (int l = 0; l < 4; ++l) {
        for (int m = 0; m < 32; ++m) {
          codes[i * kLen + 128 * half + 32 * l + m] = block.codes[32 * half + m] >> (2 * l) & 3;
        }
      }
    }
    for (int j = 0; j < kSubs; ++j) d[i * kSubs + j] = f16_to_f32(block.d);
  }
}

}  // namespace

const Format kTQ1_0 = {
    .type = GgmlType::TQ1_0,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockTQ1),
    .sub_block_len = kSubLen,
    .code_bits = 4,  // 2, for which the kernels have no further use
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_tq1_0, sizeof(BlockTQ1), kLen, kSubLen, kOffset>,
    .unpack = unpack_tq1_0,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockTQ1), offsetof(BlockTQ1, d)>};

const Format kTQ2_0 = {
    .type = GgmlType::TQ2_0,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockTQ2),
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_tq2_0, sizeof(BlockTQ2), kLen, kSubLen, kOffset>,
    .unpack = unpack_tq2_0,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockTQ2), offsetof(BlockTQ2, d)>};

}  // namespace crossval
