// IQ1_S and IQ1_M: 256 weights, each -1, 0 or +1 with an eighth added or taken away, eight of them
// a point of the grid, and odd multiples of an f16 scale. Layout: ggml/src/ggml-common.h
// `block_iq1_s`, `block_iq1_m` and ggml-quants.c `dequantize_row_iq1_s`, `dequantize_row_iq1_m`
// (llama.cpp). A weight is kept as eighths: a code of 0 to 18, less 9, times an eighth of its
// scale.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/iq_grids.h"

namespace crossval {
namespace {

constexpr int kLen = 256, kGroups = kLen / 32, kOffset = 9;

struct BlockIQ1S {
  uint16_t d;
  uint8_t low[kLen / 8];   // of a point's place in the grid; 3 bits more are in `high`
  uint16_t high[kGroups];  // 4 x 3 bits, 3 bits of scale, the sign of the eighths
};
static_assert(sizeof(BlockIQ1S) == 50);
constexpr int kSubLenS = 32;

struct BlockIQ1M {
  uint8_t low[kLen / 8];
  uint8_t high[kLen / 16];         // nibbles: 3 bits of a point's place, the sign of its eighths
  uint16_t scales[kLen / 16 / 4];  // 4 x 3 bits; the upper nibbles are the f16 scale
};
static_assert(sizeof(BlockIQ1M) == 56);
constexpr int kSubLenM = 16;

// Eight codes: 8 (g + 1), and `eighth` for what is added to each: 2, or 0 where it is taken away.
// No branch on that sign, which is as good as random.
void put_point(int place, int eighth, uint8_t* codes) {
  const uint64_t point =
      kIq1Grid[static_cast<size_t>(place)] + in_each_byte(static_cast<uint8_t>(eighth));
  std::memcpy(codes, &point, sizeof point);
}

// Three bits of scale: an eighth of 2 step + 1.
constexpr float kEighths[8] = {1 / 8.0f, 3 / 8.0f,  5 / 8.0f,  7 / 8.0f,
                               9 / 8.0f, 11 / 8.0f, 13 / 8.0f, 15 / 8.0f};

void unpack_iq1_s(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ1S>(row + i * int64_t{sizeof(BlockIQ1S)});
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kGroups; ++j) {
      const int high = block.high[j];
      for (int k = 0; k < 4; ++k) {
        const int place = block.low[4 * j + k] | (high >> (3 * k) & 7) << 8;
        put_point(place, 2 - (high >> 14 & 2), codes + i * kLen + 32 * j + 8 * k);
      }
      d[i * kGroups + j] = scale * kEighths[high >> 12 & 7];
    }
  }
}

uint16_t scale_of(const BlockIQ1M& block) {
  uint32_t scale = 0;
  for (int i = 0; i < 4; ++i) scale |= uint32_t{block.scales[i]} >> 12 << (4 * i);
  return static_cast<uint16_t>(scale);
}

void unpack_iq1_m(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  constexpr int kSubs = kLen / kSubLenM;
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ1M>(row + i * int64_t{sizeof(BlockIQ1M)});
    const float scale = f16_to_f32(scale_of(block));
    for (int j = 0; j < kSubs; ++j) {
      for (int k = 0; k < 2; ++k) {
        const int high = block.high[j] >> (4 * k);
        put_point(block.low[2 * j + k] | (high & 7) << 8, 2 - (high >> 2 & 2),
                  codes + i * kLen + j * kSubLenM + 8 * k);
      }
      d[i * kSubs + j] = scale * kEighths[block.scales[j / 4] >> (3 * (j % 4)) & 7];
    }
  }
}

int64_t first_bad_iq1_m(const std::byte* row, int64_t n) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<BlockIQ1M>(row + i * int64_t{sizeof(BlockIQ1M)});
    if (!is_finite_f16(scale_of(block))) return i * kLen;
  }
  return -1;
}

}  // namespace

const Format kIQ1_S = {
    .type = GgmlType::IQ1_S,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ1S),
    .sub_block_len = kSubLenS,
    .code_bits = 5,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq1_s, sizeof(BlockIQ1S), kLen, kSubLenS, kOffset>,
    .unpack = unpack_iq1_s,
    .first_non_finite = first_bad_scale<kLen, sizeof(BlockIQ1S), 0>};

const Format kIQ1_M = {
    .type = GgmlType::IQ1_M,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(BlockIQ1M),
    .sub_block_len = kSubLenM,
    .code_bits = 5,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq1_m, sizeof(BlockIQ1M), kLen, kSubLenM, kOffset>,
    .unpack = unpack_iq1_m,
    .first_non_finite = first_bad_iq1_m};

}  // namespace crossval
