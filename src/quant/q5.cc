// Q5_0 and Q5_1: 32 weights of 5 bits with an f16 scale (and, in Q5_1, an f16 minimum).
// Layout: ggml/src/ggml-common.h `block_q5_0`, `block_q5_1` (llama.cpp): nibbles as in Q4, the
// fifth bit of weight j is bit j of a 32-bit little-endian word; weight = d * (code - 16) or
// d * code + m.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 32;

struct BlockQ5_0 {
  uint16_t d;
  uint8_t high[4];
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ5_0) == 22);

struct BlockQ5_1 {
  uint16_t d, m;
  uint8_t high[4];
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockQ5_1) == 24);

void unpack_5_bits(const uint8_t* packed, const uint8_t* high_bits, uint8_t* codes) {
  const auto high = load_as<uint32_t>(high_bits);
  for (int j = 0; j < kLen / 2; ++j) {
    codes[j] = static_cast<uint8_t>((packed[j] & 15) | ((high >> j & 1) << 4));
    codes[j + kLen / 2] = static_cast<uint8_t>((packed[j] >> 4) | ((high >> (j + 16) & 1) << 4));
  }
}

void unpack_q5_0(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_0>(row + i * int64_t{sizeof(BlockQ5_0)});
    unpack_5_bits(block.codes, block.high, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_q5_1(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_1>(row + i * int64_t{sizeof(BlockQ5_1)});
    unpack_5_bits(block.codes, block.high, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
    m[i] = f16_to_f32(block.m);
  }
}

void dequantize_q5_0(const std::byte* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_0>(row + i * int64_t{sizeof(BlockQ5_0)});
    uint8_t codes[kLen];
    unpack_5_bits(block.codes, block.high, codes);
    const float d = f16_to_f32(block.d);
    for (int j = 0; j < kLen; ++j) out[i * kLen + j] = static_cast<float>(codes[j] - 16) * d;
  }
}

void dequantize_q5_1(const std::byte* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ5_1>(row + i * int64_t{sizeof(BlockQ5_1)});
    uint8_t codes[kLen];
    unpack_5_bits(block.codes, block.high, codes);
    const float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
    for (int j = 0; j < kLen; ++j) out[i * kLen + j] = static_cast<float>(codes[j]) * d + m;
  }
}

int64_t first_non_finite_q5_0(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ5_0), {0});
}

int64_t first_non_finite_q5_1(const std::byte* row, int64_t n) {
  return first_bad_scale(row, n, kLen, sizeof(BlockQ5_1), {0, 2});
}

}  // namespace

const Format kQ5_0 = {.type = GgmlType::Q5_0,
                      .activation = ActivationType::Q8_0,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ5_0),
                      .sub_block_len = kLen,
                      .code_bits = 5,
                      .offset = 16,
                      .has_min = false,
                      .dequantize = dequantize_q5_0,
                      .unpack = unpack_q5_0,
                      .first_non_finite = first_non_finite_q5_0};

const Format kQ5_1 = {.type = GgmlType::Q5_1,
                      .activation = ActivationType::Q8_1,
                      .block_len = kLen,
                      .block_bytes = sizeof(BlockQ5_1),
                      .sub_block_len = kLen,
                      .code_bits = 5,
                      .offset = 0,
                      .has_min = true,
                      .dequantize = dequantize_q5_1,
                      .unpack = unpack_q5_1,
                      .first_non_finite = first_non_finite_q5_1};

}  // namespace crossval
