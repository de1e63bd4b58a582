// IQ2_XXS, IQ2_XS and IQ2_S: 256 weights of +-8, 25 or 43, eight of them a point of a grid and
// eight signs, under 4-bit scales of 32 or 16 and an f16 scale. Layout: ggml/src/ggml-common.h
// `block_iq2_xxs`, `block_iq2_xs`, `block_iq2_s` and ggml-quants.c `dequantize_row_iq2_*`
// (llama.cpp): weight = d * (scale + 1/2) / 4 * value. Codes are values shifted by 43.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/iq_grids.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kGroups = kLen / 32, kSubLen = 16, kSubLenXXS = 32, kOffset = 43;

struct BlockIQ2XXS {
  uint16_t d;
  uint8_t groups[kGroups][8];  // 4 places in the grid; 4 x 7 signs and 4 bits of scale
};
static_assert(sizeof(BlockIQ2XXS) == 66);

struct BlockIQ2XS {
  uint16_t d;
  uint16_t points[kLen / 8];  // 9 bits of place, 7 signs
  uint8_t scales[kGroups];
};
static_assert(sizeof(BlockIQ2XS) == 74);

struct BlockIQ2S {
  uint16_t d;
  uint8_t low[kLen / 8];  // of a point's place
  uint8_t signs[kLen / 8];
  uint8_t high[kGroups];  // 2 bits more for each of the 4 places
  uint8_t scales[kGroups];
};
static_assert(sizeof(BlockIQ2S) == 82);

void put_point(uint64_t values, uint64_t signs, uint8_t* codes) {
  const uint64_t point = signed_codes<kOffset>(values, signs);
  std::memcpy(codes, &point, sizeof point);
}

// Four bits of scale: (step + 1/2) / 4.
constexpr std::array<float, 16> kQuarters = [] {
  std::array<float, 16> quarters{};
  for (size_t step = 0; step < quarters.size(); ++step) {
    quarters[step] = (static_cast<float>(step) + 0.5f) / 4;
  }
  return quarters;
}();

// Nibbles, the lower one first.
void put_scales(float scale, const uint8_t* steps, float* d) {
  for (int j = 0; j < kGroups; ++j) {
    d[2 * j] = scale * kQuarters[steps[j] & 15];
    d[2 * j + 1] = scale * kQuarters[steps[j] >> 4];
  }
}

void unpack_iq2_xxs(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ2XXS>(row + i * int64_t{sizeof(BlockIQ2XXS)});
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kGroups; ++j) {
      const auto signs = load_as<uint32_t>(block.groups[j] + 4);
      for (int k = 0; k < 4; ++k) {
        put_point(kIq2XxsGrid[block.groups[j][k]], kEvenSignMasks[signs >> (7 * k) & 127],
                  codes + i * kLen + 32 * j + 8 * k);
      }
      d[i * kGroups + j] = scale * kQuarters[signs >> 28];
    }
  }
}

void unpack_iq2_xs(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ2XS>(row + i * int64_t{sizeof(BlockIQ2XS)});
    for (int j = 0; j < kLen / 8; ++j) {
      const uint32_t point = block.points[j];
      put_point(kIq2XsGrid[point & 511], kEvenSignMasks[point >> 9], codes + i * kLen + 8 * j);
    }
    put_scales(f16_to_f32(block.d), block.scales, d + i * (kLen / kSubLen));
  }
}

void unpack_iq2_s(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ2S>(row + i * int64_t{sizeof(BlockIQ2S)});
    for (int j = 0; j < kGroups; ++j) {
      const uint32_t high = block.high[j];
      for (int k = 0; k < 4; ++k) {
        put_point(kIq2SGrid[block.low[4 * j + k] | (high >> (2 * k) & 3) << 8],
                  kSignMasks[block.signs[4 * j + k]], codes + i * kLen + 32 * j + 8 * k);
      }
    }
    put_scales(f16_to_f32(block.d), block.scales, d + i * (kLen / kSubLen));
  }
}

}  // namespace

const Format kIQ2_XXS = {
    .type = GgmlType::IQ2_XXS,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ2XXS),
    .sub_block_len = kSubLenXXS,
    .code_bits = 7,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq2_xxs, sizeof(BlockIQ2XXS), kLen, kSubLenXXS, kOffset>,
    .unpack = unpack_iq2_xxs,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ2XXS), 0>};

const Format kIQ2_XS = {
    .type = GgmlType::IQ2_XS,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ2XS),
    .sub_block_len = kSubLen,
    .code_bits = 7,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq2_xs, sizeof(BlockIQ2XS), kLen, kSubLen, kOffset>,
    .unpack = unpack_iq2_xs,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ2XS), 0>};

const Format kIQ2_S = {
    .type = GgmlType::IQ2_S,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ2S),
    .sub_block_len = kSubLen,
    .code_bits = 7,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq2_s, sizeof(BlockIQ2S), kLen, kSubLen, kOffset>,
    .unpack = unpack_iq2_s,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ2S), 0>};

}  // namespace crossval
