// Q1_0 and Q2_0: weights of one or two bits with an f16 scale for 128 or 64 of them. Layout:
// ggml/src/ggml-common.h `block_q1_0`, `block_q2_0`, ggml-quants.c `dequantize_row_q1_0`,
// `dequantize_row_q2_0` (llama.cpp): -1 and 1; -1, 0, 1 and 2.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kSubLen = 32, kOffset = 1;

template <int kLen, int kBits>
struct Block {
  uint16_t d;
  uint8_t codes[kLen * kBits / 8];
};
constexpr int kOneLen = 128, kTwoLen = 64;
using BlockQ1 = Block<kOneLen, 1>;
using BlockQ2 = Block<kTwoLen, 2>;
static_assert(sizeof(BlockQ1) == 18 && sizeof(BlockQ2) == 18);

// Codes in the order of their bits. One bit is doubled: less the offset it is -1 or 1.
template <int kLen, int kBits>
void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  constexpr int n_per_byte = 8 / kBits, factor = kBits == 1 ? 2 : 1, n_subs = kLen / kSubLen;
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block<kLen, kBits>>(row + i * int64_t{sizeof(Block<kLen, kBits>)});
    for (int j = 0; j < kLen; ++j) {
      const int code = block.codes[j / n_per_byte] >> (kBits * (j % n_per_byte));
      codes[i * kLen + j] = static_cast<uint8_t>((code & ((1 << kBits) - 1)) * factor);
    }
    for (int sub = 0; sub < n_subs; ++sub) d[i * n_subs + sub] = f16_to_f32(block.d);
  }
}

}  // namespace

const Format kQ1_0 = {
    .type = GgmlType::Q1_0,
    .activation = ActivationType::Q8_0,
    .block_len = kOneLen,
    .block_bytes = sizeof(BlockQ1),
    .sub_block_len = kSubLen,
    .code_bits = 4,  // 2, for which the kernels have no further use
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack<kOneLen, 1>, sizeof(BlockQ1), kOneLen, kSubLen, kOffset>,
    .unpack = unpack<kOneLen, 1>,
    .first_non_finite = first_bad_scale<kOneLen, sizeof(BlockQ1), 0>};

const Format kQ2_0 = {
    .type = GgmlType::Q2_0,
    .activation = ActivationType::Q8_0,
    .block_len = kTwoLen,
    .block_bytes = sizeof(BlockQ2),
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack<kTwoLen, 2>, sizeof(BlockQ2), kTwoLen, kSubLen, kOffset>,
    .unpack = unpack<kTwoLen, 2>,
    .first_non_finite = first_bad_scale<kTwoLen, sizeof(BlockQ2), 0>};

}  // namespace crossval
