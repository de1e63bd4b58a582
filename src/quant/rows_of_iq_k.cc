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

int two_bits(const uint8_t* codes, int row, int i) {
  return codes[i / 16 * 16 + 4 * row + i % 4] >> (i % 16 / 4 * 2) & 3;
}
int four_bits(const uint8_t* codes, int row, int i) {
  return place_of_four(codes + i / 32 * 64, row, i % 32);
}
int fifth_bit(const uint8_t* high, int row, int i) {
  const NibbleOfFour at = nibble_of_four(i % 32);
  return high[i / 32 * 16 + 4 * row + i % 4] >> (2 * at.part + at.high) & 1;
}

int place(const BlockIQ2K& block, int row, int i) { return two_bits(block.codes, row, i); }
int place(const BlockIQ3K& block, int row, int i) {
  const int high = block.high[i / 32 * 16 + 4 * row + i % 4] >> (i % 32 / 4) & 1;
  return two_bits(block.codes, row, i) | high << 2;
}
int place(const BlockIQ4K& block, int row, int i) { return four_bits(block.codes, row, i); }
int place(const BlockIQ5K& block, int row, int i) {
  return four_bits(block.codes, row, i) | fifth_bit(block.high, row, i) << 4;
}
int place(const BlockIQ4KS& block, int row, int i) { return four_bits(block.codes, row, i); }
int place(const BlockIQ5KS& block, int row, int i) {
  return four_bits(block.codes, row, i) | fifth_bit(block.high, row, i) << 4;
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
  static int code(const Block& block, int row, int i) {
    const int table = block.other_table[row + i % 32 / 16 * 4] >> (i / 32) & 1;
    return kCodes[static_cast<size_t>(table) * (kCodes.size() / 2) +
                  static_cast<size_t>(place(block, row, i))];
  }
  static float d(const Block& block, int row, int sub) {
    return f16_to_f32(block.d[row]) * static_cast<float>(scale(block, 4 * sub + row));
  }
};

template <typename Block_, const auto& kCodes>
struct KS {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 32;
  static int code(const Block& block, int row, int i) {
    const int table = block.scales[i / 32 * 4 + row] & 1;
    return kCodes[static_cast<size_t>(table) * (kCodes.size() / 2) +
                  static_cast<size_t>(place(block, row, i))];
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
