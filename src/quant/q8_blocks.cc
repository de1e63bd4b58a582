// Q8_1 and Q8_K: what activations are rounded to, which a file can hold as well. Layout:
// ggml/src/ggml-common.h `block_q8_1`, `block_q8_K` (llama.cpp): a scale, the sum of the block, 32
// codes; an f32 scale, 256 codes, the sums of 16 codes each. The sums say nothing of a weight. No
// engine multiplies with such weights, so activations stay as they are.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 32, kSuperLen = 256, kSubLen = 32, kOffset = 128;

struct BlockQ81 {
  uint16_t d, s;
  int8_t codes[kLen];
};
static_assert(sizeof(BlockQ81) == 36);

struct BlockQ8K {
  float d;
  int8_t codes[kSuperLen];
  int16_t sums[kSuperLen / 16];
};
static_assert(sizeof(BlockQ8K) == 292);

void shift_codes(const int8_t* from, int n, uint8_t* to) {
  for (int i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(from[i] + kOffset);
}

void unpack_q8_1(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockQ81>(row + i * int64_t{sizeof(BlockQ81)});
    shift_codes(block.codes, kLen, codes + i * kLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_q8_k(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  constexpr int kSubs = kSuperLen / kSubLen;
  for (int64_t i = 0; i < n / kSuperLen; ++i) {
    const auto block = load_as<BlockQ8K>(row + i * int64_t{sizeof(BlockQ8K)});
    shift_codes(block.codes, kSuperLen, codes + i * kSuperLen);
    for (int j = 0; j < kSubs; ++j) d[i * kSubs + j] = block.d;
  }
}

int64_t first_bad_q8_k(const std::byte* row, int64_t n) {
  for (int64_t i = 0; i < n / kSuperLen; ++i) {
    const auto d = load_as<uint32_t>(row + i * int64_t{sizeof(BlockQ8K)});
    if ((d & 0x7f800000u) == 0x7f800000u) return i * kSuperLen;
  }
  return -1;
}

}  // namespace

const Format kQ8_1 = {
    .type = GgmlType::Q8_1,
    .activation = ActivationType::F32,
    .block_len = kLen,
    .block_bytes = sizeof(BlockQ81),
    .sub_block_len = kSubLen,
    .code_bits = 8,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q8_1, sizeof(BlockQ81), kLen, kSubLen, kOffset>,
    .unpack = unpack_q8_1,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockQ81), 0>};

const Format kQ8_K = {
    .type = GgmlType::Q8_K,
    .activation = ActivationType::F32,
    .block_len = kSuperLen,
    .block_bytes = sizeof(BlockQ8K),
    .sub_block_len = kSubLen,
    .code_bits = 8,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_q8_k, sizeof(BlockQ8K), kSuperLen, kSubLen, kOffset>,
    .unpack = unpack_q8_k,
    .first_non_finite = first_bad_q8_k};

}  // namespace crossval
