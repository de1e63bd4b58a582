// IQ3_XXS and IQ3_S: 256 weights, four of them a point of a grid, with eight signs for two points,
// under 4-bit scales of 32 and an f16 scale. Layout: ggml/src/ggml-common.h `block_iq3_xxs`,
// `block_iq3_s` and ggml-quants.c `dequantize_row_iq3_xxs`, `dequantize_row_iq3_s` (llama.cpp):
// weight = d * (scale + 1/2) / 2 * value or d * (2 scale + 1) * value. Codes are values shifted by
// the largest one.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/iq_grids.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kSubLen = 32, kSubs = kLen / kSubLen;
constexpr int kOffsetXXS = 62, kOffsetS = 15;

struct BlockIQ3XXS {
  uint16_t d;
  uint8_t points[kLen / 4];
  uint8_t signs[kSubs][4];  // 4 x 7 signs and 4 bits of scale
};
static_assert(sizeof(BlockIQ3XXS) == 98);

struct BlockIQ3S {
  uint16_t d;
  uint8_t low[kLen / 4];  // of a point's place
  uint8_t high[kSubs];    // one bit more for each of the 8 places
  uint8_t signs[kLen / 8];
  uint8_t scales[kSubs / 2];
};
static_assert(sizeof(BlockIQ3S) == 110);

template <int kOffset>
void put_points(uint32_t first, uint32_t second, uint64_t signs, uint8_t* codes) {
  const uint64_t points = signed_codes<kOffset>(first | uint64_t{second} << 32, signs);
  std::memcpy(codes, &points, sizeof points);
}

void unpack_iq3_xxs(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ3XXS>(row + i * int64_t{sizeof(BlockIQ3XXS)});
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kSubs; ++j) {
      const auto signs = load_as<uint32_t>(block.signs[j]);
      for (int k = 0; k < 4; ++k) {
        const uint8_t* places = block.points + 8 * j + 2 * k;
        put_points<kOffsetXXS>(kIq3XxsGrid[places[0]], kIq3XxsGrid[places[1]],
                               kEvenSignMasks[signs >> (7 * k) & 127],
                               codes + i * kLen + j * kSubLen + 8 * k);
      }
      d[i * kSubs + j] = scale * (0.5f + static_cast<float>(signs >> 28)) * 0.5f;
    }
  }
}

void unpack_iq3_s(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ3S>(row + i * int64_t{sizeof(BlockIQ3S)});
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kSubs; ++j) {
      const uint32_t high = block.high[j];
      for (int k = 0; k < 4; ++k) {
        const uint8_t* low = block.low + 8 * j + 2 * k;
        put_points<kOffsetS>(kIq3SGrid[low[0] | (high >> (2 * k) & 1) << 8],
                             kIq3SGrid[low[1] | (high >> (2 * k + 1) & 1) << 8],
                             kSignMasks[block.signs[4 * j + k]],
                             codes + i * kLen + j * kSubLen + 8 * k);
      }
      const int step = block.scales[j / 2] >> (4 * (j % 2)) & 15;
      d[i * kSubs + j] = scale * static_cast<float>(2 * step + 1);
    }
  }
}

}  // namespace

const Format kIQ3_XXS = {
    .type = GgmlType::IQ3_XXS,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ3XXS),
    .sub_block_len = kSubLen,
    .code_bits = 7,
    .offset = kOffsetXXS,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq3_xxs, sizeof(BlockIQ3XXS), kLen, kSubLen, kOffsetXXS>,
    .unpack = unpack_iq3_xxs,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ3XXS), 0>};

const Format kIQ3_S = {
    .type = GgmlType::IQ3_S,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ3S),
    .sub_block_len = kSubLen,
    .code_bits = 5,
    .offset = kOffsetS,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq3_s, sizeof(BlockIQ3S), kLen, kSubLen, kOffsetS>,
    .unpack = unpack_iq3_s,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ3S), 0>};

}  // namespace crossval
