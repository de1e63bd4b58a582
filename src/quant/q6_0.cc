// Q6_0 of ik_llama.cpp: 32 codes of 6 bits, less 32, under an f16. Layout: ggml/src/ggml-common.h
// `block_q6_0`, ggml-quants.c `dequantize_row_q6_0`: nibbles as in Q4_0, byte j of `high` holds two
// bits more of weights j, j + 16, j + 8, j + 24 from its lowest bits up.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kLen = 32, kOffset = 32;

struct Block {
  uint16_t d;
  uint8_t high[kLen / 4];
  uint8_t low[kLen / 2];
};
static_assert(sizeof(Block) == 26);

void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(row + i * int64_t{sizeof(Block)});
    uint8_t* to = codes + i * kLen;
    unpack_nibbles<kLen>(block.low, to);
    for (const int part : {0, 1, 2, 3}) {
      add_bits<8>(block.high, part % 2 * 4 + part / 2 * 2, 3, 4, to + 8 * part);
    }
    d[i] = f16_to_f32(block.d);
  }
}

}  // namespace

const Format kQ6_0 = {.type = GgmlType::Q6_0,
                      .activation = ActivationType::Q8_0,
                      .block_len = kLen,
                      .block_bytes = sizeof(Block),
                      .sub_block_len = kLen,
                      .code_bits = 6,
                      .offset = kOffset,
                      .has_min = false,
                      .dequantize = dequantize_codes<unpack, sizeof(Block), kLen, kLen, kOffset>,
                      .unpack = unpack,
                      .first_non_finite = first_bad_scale<kLen, sizeof(Block), 0>};

}  // namespace crossval
