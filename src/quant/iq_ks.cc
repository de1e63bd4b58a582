// IQ2_KS to IQ5_KS, IQ4_KSS and IQ2_KL of ik_llama.cpp: places in a table of uneven steps, 32
// weights under a scale of 5 to 8 bits, and an f16 or f32 for the row. Layout:
// ggml/src/ggml-common.h `block_iq2_ks` and so on, ggml/src/iqk/iqk_quantize.cpp
// `dequantize_row_iq2_ks` and so on. The engine multiplies the row's scale into those of 32
// weights.
#include "quant/format_rows.h"
#include "quant/ik_steps.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 32, kSubs = kLen / kSubLen;

struct BlockIQ2KS {
  uint16_t extra;  // a bit for the table of each sub-block, then one more of its scale
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 4];
};
static_assert(sizeof(BlockIQ2KS) == 70);

struct BlockIQ3KS {
  uint16_t extra;  // one more bit of each scale, then one for the table
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 4];
  uint8_t high[kLen / 8];
};
static_assert(sizeof(BlockIQ3KS) == 102);

struct BlockIQ4KS {
  uint8_t scales[kSubs];  // the lowest bit is for the table
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockIQ4KS) == 136);

struct BlockIQ5KS {
  uint8_t scales[kSubs];
  uint8_t codes[kLen / 2];
  uint8_t high[kLen / 8];
};
static_assert(sizeof(BlockIQ5KS) == 168);

struct BlockIQ4KSS {
  uint16_t codes[kSubs][8];  // 15 bits for four codes, the lowest one for the scale and table
};
static_assert(sizeof(BlockIQ4KSS) == 128);

struct BlockIQ2KL {
  uint16_t scales_high;
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 4];  // a place is one of two weights side by side
  uint8_t high[kLen / 16];
};
static_assert(sizeof(BlockIQ2KL) == 86);

// Of a sub-block: its scale, and which of the two tables.
struct Sub {
  int scale, table;
};

Sub sub_of(const BlockIQ2KS& block, int sub) {
  const int low = block.scales[sub / 2] >> (4 * (sub % 2)) & 15;
  return {(low | (block.extra >> (8 + sub) & 1) << 4) - 16, block.extra >> sub & 1};
}
Sub sub_of(const BlockIQ3KS& block, int sub) {
  const int low = block.scales[sub % 4] >> (sub / 4 * 4) & 15;
  return {(low | (block.extra >> sub & 1) << 4) - 16, block.extra >> (8 + sub) & 1};
}
template <typename Block>
Sub sub_of(const Block& block, int sub) {
  return {(block.scales[sub] & 254) - 127, block.scales[sub] & 1};
}
Sub sub_of(const BlockIQ4KSS& block, int sub) {
  int scale = 0;
  for (int k = 0; k < 8; ++k) scale |= (block.codes[sub][k] & 1) << k;
  return {(scale & 254) - 127, scale & 1};
}
Sub sub_of(const BlockIQ2KL& block, int sub) {
  const int low = block.scales[sub % 4] >> (sub / 4 * 4) & 15;
  return {(low | (block.scales_high >> (2 * sub) & 3) << 4) - 32, 0};
}

// The same places in the second of two tables as in the first.
template <size_t N>
void look_up(const std::array<uint8_t, N>& tables, int table, uint8_t* places) {
  const uint8_t* codes = tables.data() + static_cast<size_t>(table) * (N / 2);
  for (int k = 0; k < kSubLen; ++k) places[k] = codes[places[k]];
}

void put_codes(const BlockIQ2KS& block, int sub, int table, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 4 * 32, sub % 4 * 2, 3, to);
  look_up(kIk2Codes, table, to);
}
void put_codes(const BlockIQ3KS& block, int sub, int table, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 4 * 32, sub % 4 * 2, 3, to);
  add_bits<kSubLen>(block.high, sub, 1, 2, to);
  look_up(kIk3Codes, table, to);
}
void put_codes(const BlockIQ4KS& block, int sub, int table, uint8_t* to) {
  unpack_nibbles<kSubLen>(block.codes + sub * 16, to);
  look_up(kIk4Codes, table, to);
}
void put_codes(const BlockIQ5KS& block, int sub, int table, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 2 * 32, sub % 2 * 4, 15, to);
  add_bits<kSubLen>(block.high, sub, 1, 4, to);
  look_up(kIk5Codes, table, to);
}
// Each bit is stored as its difference from the one above.
void put_codes(const BlockIQ4KSS& block, int sub, int table, uint8_t* to) {
  uint8_t bytes[16];
  for (int k = 0; k < 8; ++k) {
    const int bits = block.codes[sub][k] & 0xfffe, places = bits ^ bits >> 1;
    bytes[2 * k] = static_cast<uint8_t>(places);
    bytes[2 * k + 1] = static_cast<uint8_t>(places >> 8);
  }
  unpack_nibbles<kSubLen>(bytes, to);
  look_up(kIk4Codes, table, to);
}

// Pairs that IQ2_KL can be, as places in the first of IQ3's tables: first weight, second weight
// (ggml-common.h `iq2kl_values`).
constexpr uint8_t kPairs[32][2] = {{0, 2}, {0, 5}, {1, 0}, {1, 3}, {1, 5}, {1, 7}, {2, 1}, {2, 2},
                                   {2, 4}, {2, 5}, {2, 6}, {3, 0}, {3, 4}, {3, 5}, {3, 7}, {4, 2},
                                   {4, 3}, {4, 4}, {4, 5}, {4, 6}, {5, 1}, {5, 2}, {5, 3}, {5, 4},
                                   {5, 5}, {6, 0}, {6, 2}, {6, 4}, {6, 6}, {6, 7}, {7, 2}, {7, 5}};

void put_codes(const BlockIQ2KL& block, int sub, int, uint8_t* to) {
  uint8_t places[kSubLen / 2];
  put_bits<kSubLen / 2>(block.codes + sub / 2 * 16, sub % 2 * 4, 15, places);
  add_bits<kSubLen / 2>(block.high, sub, 1, 4, places);
  for (int k = 0; k < kSubLen; ++k) to[k] = kIk3Codes[kPairs[places[k / 2]][k % 2]];
}

template <typename Block>
void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(row + i * int64_t{sizeof(Block)});
    for (int j = 0; j < kSubs; ++j) {
      const Sub sub = sub_of(block, j);
      put_codes(block, j, sub.table, codes + i * kLen + j * kSubLen);
      d[i * kSubs + j] = static_cast<float>(sub.scale);
    }
  }
}

template <typename Block>
constexpr Format format_of(GgmlType type, int scale_bytes) {
  return {.type = type,
          .activation = ActivationType::Q8_K,
          .block_len = kLen,
          .block_bytes = sizeof(Block),
          .sub_block_len = kSubLen,
          .code_bits = 8,
          .offset = kIkOffset,
          .has_min = false,
          .dequantize = dequantize_codes<unpack<Block>, sizeof(Block), kLen, kSubLen, kIkOffset>,
          .unpack = unpack<Block>,
          .first_non_finite = no_scales,
          .row_scale = {.n_bytes = scale_bytes, .in_d = true}};
}

}  // namespace

const Format kIQ2_KS = format_of<BlockIQ2KS>(GgmlType::IQ2_KS, 2);
const Format kIQ3_KS = format_of<BlockIQ3KS>(GgmlType::IQ3_KS, 2);
const Format kIQ2_KL = format_of<BlockIQ2KL>(GgmlType::IQ2_KL, 2);
const Format kIQ4_KS = format_of<BlockIQ4KS>(GgmlType::IQ4_KS, 4);
const Format kIQ5_KS = format_of<BlockIQ5KS>(GgmlType::IQ5_KS, 4);
const Format kIQ4_KSS = format_of<BlockIQ4KSS>(GgmlType::IQ4_KSS, 4);

}  // namespace crossval
