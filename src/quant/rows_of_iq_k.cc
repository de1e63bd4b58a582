// IQ2_K_R4 to IQ5_K_R4, IQ4_KS_R4 and IQ5_KS_R4 of ik_llama.cpp. Layout:
// ggml/src/ggml-common.h `block_iq2_k_r4` and so on, ggml/src/iqk/iqk_quantize.cpp
// `dequantize_row_iq2_k_r4` and so on.
#include "quant/ik_steps.h"
#include "quant/rows_together.h"

namespace crossval {
namespace {

constexpr int kLen = 256;

struct BlockIQ2K {
  uint16_t d[4];
  uint8_t other_table[8];  // of four rows' first 16 of each 32, then of their second ones
  uint8_t scales[32];
  uint8_t codes[kLen];
};
struct BlockIQ3K {
  uint16_t d[4];
  uint8_t other_table[8];
  uint8_t signs[8];
  uint8_t scales[32];
  uint8_t codes[kLen];
  uint8_t high[kLen / 2];
};
struct BlockIQ4K {
  uint16_t d[4];
  uint8_t other_table[8];
  uint8_t scales_high[16], scales[32];
  uint8_t codes[2 * kLen];
};
struct BlockIQ5K {
  uint16_t d[4];
  uint8_t other_table[8];
  uint8_t scales_high[16], scales[32];
  uint8_t codes[2 * kLen];
  uint8_t high[kLen / 2];
};
struct BlockIQ4KS {
  uint8_t scales[32];
  uint8_t codes[2 * kLen];
};
struct BlockIQ5KS {
  uint8_t scales[32];
  uint8_t codes[2 * kLen];
  uint8_t high[kLen / 2];
};

uint32_t fifth_bits(const uint8_t* bytes_of_16, int row, int q) {
  const NibbleOfFour at = nibble_of_four(q);
  return four_of(bytes_of_16 + 4 * row, 2 * at.part + at.high, 1) << 4;
}

// Places in the first table, as unpack_one_row wants codes.
uint32_t places(const BlockIQ2K& block, int row, int i, int q) {
  return two_bits_of_four(block.codes + i * 32, row, q);
}
uint32_t places(const BlockIQ3K& block, int row, int i, int q) {
  return two_bits_of_four(block.codes + i * 32, row, q) |
         four_of(block.high + i * 16 + 4 * row, q, 1) << 2;
}
uint32_t places(const BlockIQ4K& block, int row, int i, int q) {
  return nibbles_of_four(block.codes + i * 64, row, q);
}
uint32_t places(const BlockIQ5K& block, int row, int i, int q) {
  return nibbles_of_four(block.codes + i * 64, row, q) | fifth_bits(block.high + i * 16, row, q);
}
uint32_t places(const BlockIQ4KS& block, int row, int i, int q) {
  return nibbles_of_four(block.codes + i * 64, row, q);
}
uint32_t places(const BlockIQ5KS& block, int row, int i, int q) {
  return nibbles_of_four(block.codes + i * 64, row, q) | fifth_bits(block.high + i * 16, row, q);
}

int scale(const BlockIQ2K& block, int at) {
  return (block.scales[at % 32] >> (at / 32 * 4) & 15) - 8;
}
int scale(const BlockIQ3K& block, int at) {
  const int step = 2 * (block.scales[at % 32] >> (at / 32 * 4) & 15) + 1;
  return block.signs[at % 8] >> (at / 8) & 1 ? -step : step;
}
template <typename Block>
int scale(const Block& block, int at) {
  return six_bits(block.scales, block.scales_high, at) - 32;
}

template <typename Block_, const auto& kCodes>
struct K {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 16;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const auto table = static_cast<size_t>(block.other_table[row + q / 4 * 4] >> i & 1);
    return look_up_four(kCodes.data() + table * (kCodes.size() / 2), places(block, row, i, q));
  }
  static float d(const Block& block, int row, int sub) {
    return f16_to_f32(block.d[row]) * static_cast<float>(scale(block, 4 * sub + row));
  }
};

template <typename Block_, const auto& kCodes>
struct KS {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 32;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const auto table = static_cast<size_t>(block.scales[4 * i + row] & 1);
    return look_up_four(kCodes.data() + table * (kCodes.size() / 2), places(block, row, i, q));
  }
  static float d(const Block& block, int row, int sub) {
    return static_cast<float>((block.scales[4 * sub + row] & 254) - 127);
  }
};

}  // namespace

const Format kIQ2_K_R4 = interleaved<K<BlockIQ2K, kIk2Codes>, kLen>(kIQ2_K, GgmlType::IQ2_K_R4);
const Format kIQ3_K_R4 = interleaved<K<BlockIQ3K, kIk3Codes>, kLen>(kIQ3_K, GgmlType::IQ3_K_R4);
const Format kIQ4_K_R4 = interleaved<K<BlockIQ4K, kIk4Codes>, kLen>(kIQ4_K, GgmlType::IQ4_K_R4);
const Format kIQ5_K_R4 = interleaved<K<BlockIQ5K, kIk5Codes>, kLen>(kIQ5_K, GgmlType::IQ5_K_R4);
const Format kIQ4_KS_R4 =
    interleaved<KS<BlockIQ4KS, kIk4Codes>, kLen>(kIQ4_KS, GgmlType::IQ4_KS_R4);
const Format kIQ5_KS_R4 =
    interleaved<KS<BlockIQ5KS, kIk5Codes>, kLen>(kIQ5_KS, GgmlType::IQ5_KS_R4);

}  // namespace crossval
