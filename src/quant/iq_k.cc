// IQ2_K to IQ6_K of ik_llama.cpp: places in a table of uneven steps, 16 weights under a scale of 4
// to 8 bits, 256 under an f16. Layout: ggml/src/ggml-common.h `block_iq2_k` and so on, and
// ggml/src/iqk/iqk_quantize.cpp `dequantize_row_iq2_k` and so on. Two bits of 128 weights share 32
// bytes, four of 64 do (IQ4_K: 16 bytes of 32).
#include <cmath>

#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/ik_steps.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 16, kSubs = kLen / kSubLen;

struct BlockIQ2K {
  uint16_t d, other_table;  // a bit for each sub-block
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 4];
};
static_assert(sizeof(BlockIQ2K) == 76);

struct BlockIQ3K {
  uint16_t d, other_table;
  uint16_t signs;  // of scales
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 4];
  uint8_t high[kLen / 8];
};
static_assert(sizeof(BlockIQ3K) == 110);

struct BlockIQ4K {
  uint16_t d, other_table;
  uint8_t scales_high[kSubs / 4];
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 2];
};
static_assert(sizeof(BlockIQ4K) == 144);

struct BlockIQ5K {
  uint16_t d, other_table;
  uint8_t scales_high[kSubs / 4];
  uint8_t scales[kSubs / 2];
  uint8_t codes[kLen / 2];
  uint8_t high[kLen / 8];
};
static_assert(sizeof(BlockIQ5K) == 176);

struct BlockIQ6K {
  uint16_t d, other_table;
  int8_t scales[kSubs];
  uint8_t codes[kLen / 2];
  uint8_t high[kLen / 4];
};
static_assert(sizeof(BlockIQ6K) == 212);

// Nibble i of bytes.
int nibble(const uint8_t* bytes, int i) { return bytes[i / 2] >> (4 * (i % 2)) & 15; }

template <typename Block>
int six_bits_of_scale(const Block& block, int sub) {
  const int high = block.scales_high[sub / 4] >> (2 * (sub % 4)) & 3;
  return (nibble(block.scales, sub) | high << 4) - 32;
}

int scale(const BlockIQ2K& block, int sub) { return nibble(block.scales, sub) - 8; }
int scale(const BlockIQ3K& block, int sub) {
  const int step = 2 * nibble(block.scales, sub) + 1;
  return block.signs >> sub & 1 ? -step : step;
}
int scale(const BlockIQ4K& block, int sub) { return six_bits_of_scale(block, sub); }
int scale(const BlockIQ5K& block, int sub) { return six_bits_of_scale(block, sub); }
int scale(const BlockIQ6K& block, int sub) { return block.scales[sub]; }

// The places of a sub-block in the first table.
void put_places(const BlockIQ2K& block, int sub, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 8 * 32 + sub % 2 * kSubLen, sub % 8 / 2 * 2, 3, to);
}
void put_places(const BlockIQ3K& block, int sub, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 8 * 32 + sub % 2 * kSubLen, sub % 8 / 2 * 2, 3, to);
  add_bits<kSubLen>(block.high + sub % 2 * kSubLen, sub / 2, 1, 2, to);
}
void put_places(const BlockIQ4K& block, int sub, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 2 * kSubLen, sub % 2 * 4, 15, to);
}
void put_places(const BlockIQ5K& block, int sub, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 4 * 32 + sub % 2 * kSubLen, sub % 4 / 2 * 4, 15, to);
  add_bits<kSubLen>(block.high + sub % 2 * kSubLen, sub / 2, 1, 4, to);
}
void put_places(const BlockIQ6K& block, int sub, uint8_t* to) {
  put_bits<kSubLen>(block.codes + sub / 4 * 32 + sub % 2 * kSubLen, sub % 4 / 2 * 4, 15, to);
  add_bits<kSubLen>(block.high + sub / 8 * 32 + sub % 2 * kSubLen, sub % 8 / 2 * 2, 3, 4, to);
}

template <typename Block, const auto& kCodes>
void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  constexpr int kPlaces = static_cast<int>(kCodes.size() / 2);
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(row + i * int64_t{sizeof(Block)});
    const float of_block = f16_to_f32(block.d);
    for (int sub = 0; sub < kSubs; ++sub) {
      const uint8_t* table = kCodes.data() + (block.other_table >> sub & 1) * kPlaces;
      uint8_t* to = codes + i * kLen + sub * kSubLen;
      put_places(block, sub, to);
      for (int k = 0; k < kSubLen; ++k) to[k] = table[to[k]];
      d[i * kSubs + sub] = of_block * static_cast<float>(scale(block, sub));
    }
  }
}

// IQ6_K's steps lie on a cubic, which the engine's dequantisation computes where its products take
// them from the table, rounded to whole numbers (iqk_quantize.cpp `dequantize_row_iq6_k`). The
// multiplications are fused with the additions there.
void dequantize_iq6_k(const std::byte* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ6K>(row + i * int64_t{sizeof(BlockIQ6K)});
    for (int sub = 0; sub < kSubs; ++sub) {
      uint8_t places[kSubLen];
      put_places(block, sub, places);
      const float moved_by = block.other_table >> sub & 1 ? 1.0f : 0.0f;
      const float d = f16_to_f32(block.d) * static_cast<float>(block.scales[sub]);
      for (int k = 0; k < kSubLen; ++k) {
        const auto q = static_cast<float>(places[k]);
        const float step =
            std::fma(q, std::fma(q, std::fma(q, 0.0011972f, -0.11218f), 6.2568f), -127.0f);
        out[i * kLen + sub * kSubLen + k] = d * (step + moved_by);
      }
    }
  }
}

template <typename Block, const auto& kCodes>
constexpr Format format_of(GgmlType type) {
  return {.type = type,
          .activation = ActivationType::Q8_K,
          .block_len = kLen,
          .block_bytes = sizeof(Block),
          .sub_block_len = kSubLen,
          .code_bits = 8,
          .offset = kIkOffset,
          .has_min = false,
          .dequantize =
              dequantize_codes<unpack<Block, kCodes>, sizeof(Block), kLen, kSubLen, kIkOffset>,
          .unpack = unpack<Block, kCodes>,
          .first_non_finite = first_bad_scale<kLen, sizeof(Block), 0>};
}

}  // namespace

const Format kIQ2_K = format_of<BlockIQ2K, kIk2Codes>(GgmlType::IQ2_K);
const Format kIQ3_K = format_of<BlockIQ3K, kIk3Codes>(GgmlType::IQ3_K);
const Format kIQ4_K = format_of<BlockIQ4K, kIk4Codes>(GgmlType::IQ4_K);
const Format kIQ5_K = format_of<BlockIQ5K, kIk5Codes>(GgmlType::IQ5_K);
const Format kIQ6_K = [] {
  Format format = format_of<BlockIQ6K, kIk6Codes>(GgmlType::IQ6_K);
  format.dequantize = dequantize_iq6_k;
  return format;
}();

}  // namespace crossval
