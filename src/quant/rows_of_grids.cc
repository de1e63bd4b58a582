// IQ2_XXS_R4, IQ2_XS_R4, IQ2_S_R4, IQ3_XXS_R4 and IQ3_S_R4 of ik_llama.cpp: points of the same
// grids as without the ending, four rows interleaved. Layout: ggml/src/ggml-common.h
// `block_iq2_xxs_r4` and so on, ggml/src/iqk/iqk_quantize.cpp `dequantize_row_iq2_xxs_r4` and so
// on. Signs are stored as their difference from the one before.
#include "quant/iq_grids.h"
#include "quant/rows_together.h"

namespace crossval {
namespace {

constexpr int kLen = 256;

// Four values of a point as codes, which a bit of `signs` each subtracts from the offset instead.
uint32_t signed_four(uint32_t values, unsigned signs, int offset) {
  const uint32_t mask = static_cast<uint32_t>(kSignMasks[signs & 15]);
  const auto all = static_cast<uint32_t>(in_each_byte(static_cast<uint8_t>(offset)));
  return all + values - ((values + values) & mask);  // no byte carries: iq_grids.h
}
uint32_t half_of_point(uint64_t point, int half) {
  return static_cast<uint32_t>(point >> (32 * half));
}

// An odd number of eighths, quarters or ones.
float odd_steps(uint16_t d, int steps, float unit) {
  return f16_to_f32(d) * unit * static_cast<float>(2 * steps + 1);
}

// The lowest bit of each byte is one of four bits of scale, the others are signs.
int scale_of(uint32_t word) {
  return static_cast<int>((word & 1) | (word >> 7 & 2) | (word >> 14 & 4) | (word >> 21 & 8));
}
uint32_t signs_of(uint32_t word) {
  const uint32_t signs = word & 0xfefefefeu;
  return signs ^ signs >> 1;
}

// IQ2_XXS and IQ3_XXS: 32 weights under a scale, which lies among their signs.
template <typename Block_, int kUnitsOfOne>
struct ScaleInSigns {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 32;
  static float d(const Block& block, int row, int sub) {
    const int steps = scale_of(block.signs_and_scales[4 * sub + row]);
    return odd_steps(block.d[row], steps, 1.0f / kUnitsOfOne);
  }
};

// IQ2_XS and IQ2_S: 16 weights under a scale of four bits.
template <typename Block_>
struct ScaleOf16 {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 16;
  static float d(const Block& block, int row, int sub) {
    const int steps = block.scales[sub / 2 * 4 + row] >> (sub % 2 * 4) & 15;
    return odd_steps(block.d[row], steps, 0.125f);
  }
};

struct BlockIQ2XXS {
  uint16_t d[4];
  uint32_t signs_and_scales[kLen / 8];
  uint8_t points[kLen / 2];
};
struct IQ2XXS : ScaleInSigns<BlockIQ2XXS, 8> {
  static constexpr int kOffset = 43;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const uint8_t place = block.points[i * 16 + 4 * row + q / 2];
    const uint32_t signs = signs_of(block.signs_and_scales[4 * i + row]);
    return signed_four(half_of_point(kIq2XxsGrid[place], q % 2), signs >> (4 * q), kOffset);
  }
};

struct BlockIQ2XS {
  uint16_t d[4];
  uint16_t points[kLen / 2];  // 9 bits of place, 7 of signs
  uint8_t scales[kLen / 8];
};
struct IQ2XS : ScaleOf16<BlockIQ2XS> {
  static constexpr int kOffset = 43;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const unsigned point = block.points[i * 16 + 4 * row + q / 2];
    const unsigned signs = point >> 9 ^ point >> 9 << 1;
    return signed_four(half_of_point(kIq2XsGrid[point & 511], q % 2), signs >> (q % 2 * 4),
                       kOffset);
  }
};

struct BlockIQ2S {
  uint16_t d[4];
  uint8_t low[kLen / 2];  // of a point's place
  uint8_t high[kLen / 8];
  uint8_t signs[kLen / 2];
  uint8_t scales[kLen / 8];
};
struct IQ2S : ScaleOf16<BlockIQ2S> {
  static constexpr int kOffset = 43;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const int at = i * 16 + 4 * row + q / 2;
    const int high = block.high[4 * i + row] >> (q / 2 * 2) & 3;
    const auto place = static_cast<size_t>(block.low[at] | high << 8);
    return signed_four(half_of_point(kIq2SGrid[place], q % 2), block.signs[at] >> (q % 2 * 4),
                       kOffset);
  }
};

struct BlockIQ3XXS {
  uint16_t d[4];
  uint32_t signs_and_scales[kLen / 8];
  uint8_t points[kLen];
};
struct IQ3XXS : ScaleInSigns<BlockIQ3XXS, 4> {
  static constexpr int kOffset = 62;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const uint8_t place = block.points[i * 32 + 8 * row + q];
    const uint32_t signs = signs_of(block.signs_and_scales[4 * i + row]);
    return signed_four(kIq3XxsGrid[place], signs >> (4 * q), kOffset);
  }
};

// Of 32 weights, points of the first and the second 16 take turns in fours of rows.
struct BlockIQ3S {
  uint16_t d[4];
  uint8_t low[kLen];
  uint8_t high[kLen / 8];
  uint8_t signs[kLen / 2];
  uint8_t scales[kLen / 16];
};
struct IQ3S {
  using Block = BlockIQ3S;
  static constexpr int kRows = 4, kSubLen = 32, kOffset = 15;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const int point = q % 4, half = q / 4;
    const int high = block.high[4 * i + row] >> q & 1;
    const int low = block.low[i * 32 + 8 * point + 4 * half + row];
    unsigned signs = 0;
    for (int j = 0; j < 4; ++j) {
      signs |= (block.signs[i * 16 + 4 * row + j] >> q & 1u) << j;
    }
    return signed_four(kIq3SGrid[static_cast<size_t>(low | high << 8)], signs, kOffset);
  }
  static float d(const Block& block, int row, int sub) {
    const int at = 4 * sub + row;
    return odd_steps(block.d[row], block.scales[at % 16] >> (at / 16 * 4) & 15, 1);
  }
};

}  // namespace

const Format kIQ2_XXS_R4 = interleaved<IQ2XXS, kLen>(kIQ2_XXS, GgmlType::IQ2_XXS_R4);
const Format kIQ2_XS_R4 = interleaved<IQ2XS, kLen>(kIQ2_XS, GgmlType::IQ2_XS_R4);
const Format kIQ2_S_R4 = interleaved<IQ2S, kLen>(kIQ2_S, GgmlType::IQ2_S_R4);
const Format kIQ3_XXS_R4 = interleaved<IQ3XXS, kLen>(kIQ3_XXS, GgmlType::IQ3_XXS_R4);
const Format kIQ3_S_R4 = interleaved<IQ3S, kLen>(kIQ3_S, GgmlType::IQ3_S_R4);

}  // namespace crossval
