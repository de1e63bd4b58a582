// Q2_K_R4 to Q6_K_R4 and IQ4_XS_R8 of ik_llama.cpp. Layout: ggml/src/ggml-common.h `block_q2_k_r4`
// and so on, ggml/src/iqk/iqk_quantize.cpp `dequantize_row_q2_k_r4` and so on.
#include "quant/ik_steps.h"
#include "quant/rows_together.h"

namespace crossval {
namespace {

constexpr int kLen = 256;

struct BlockQ2K {
  uint16_t d[4], dmin[4];
  uint8_t scales[64];
  uint8_t codes[kLen];
};

struct Q2K {
  using Block = BlockQ2K;
  static constexpr int kRows = 4, kSubLen = 16;
  static int scale(const Block& block, int row, int sub) { return block.scales[4 * sub + row]; }
  static uint32_t four(const Block& block, int row, int i, int q) {
    return two_bits_of_four(block.codes + i * 32, row, q);
  }
  static float d(const Block& block, int row, int sub) {
    return f16_to_f32(block.d[row]) * static_cast<float>(scale(block, row, sub) & 15);
  }
  static float m(const Block& block, int row, int sub) {
    return -(f16_to_f32(block.dmin[row]) * static_cast<float>(scale(block, row, sub) >> 4));
  }
};

struct BlockQ3K {
  uint16_t d[4];
  uint8_t scales_high[16], scales[32];
  uint8_t high[kLen / 2];
  uint8_t codes[kLen];
};
struct Q3K {
  using Block = BlockQ3K;
  static constexpr int kRows = 4, kSubLen = 16;
  static uint32_t four(const Block& block, int row, int i, int q) {
    return two_bits_of_four(block.codes + i * 32, row, q) |
           four_of(block.high + i * 16 + 4 * row, q, 1) << 2;
  }
  static float d(const Block& block, int row, int sub) {
    const int scale = six_bits(block.scales, block.scales_high, 4 * sub + row) - 32;
    return f16_to_f32(block.d[row]) * static_cast<float>(scale);
  }
};

// Scales and minima of Q4_K_R4 and Q5_K_R4: low and high halves of a byte, two bits more of each
// in a nibble elsewhere.
template <typename Block_>
struct ScalesAndMinima {
  using Block = Block_;
  static constexpr int kRows = 4, kSubLen = 32;
  static int high(const Block& block, int at) {
    return block.scales_high[at % 16] >> (at / 16 * 4) & 15;
  }
  static float d(const Block& block, int row, int sub) {
    const int at = 4 * sub + row;
    const int scale = (block.scales[at] & 15) | (high(block, at) & 3) << 4;
    return f16_to_f32(block.d[row]) * static_cast<float>(scale);
  }
  static float m(const Block& block, int row, int sub) {
    const int at = 4 * sub + row;
    const int min = block.scales[at] >> 4 | (high(block, at) >> 2) << 4;
    return -(f16_to_f32(block.dmin[row]) * static_cast<float>(min));
  }
};

struct BlockQ4K {
  uint16_t d[4], dmin[4];
  uint8_t scales_high[16], scales[32];
  uint8_t codes[2 * kLen];
};
struct Q4K : ScalesAndMinima<BlockQ4K> {
  static uint32_t four(const Block& block, int row, int i, int q) {
    return nibbles_of_four(block.codes + i * 64, row, q);
  }
};

struct BlockQ5K {
  uint16_t d[4], dmin[4];
  uint8_t scales_high[16], scales[32];
  uint8_t high[kLen / 2];
  uint8_t codes[2 * kLen];
};
struct Q5K : ScalesAndMinima<BlockQ5K> {
  static uint32_t four(const Block& block, int row, int i, int q) {
    const NibbleOfFour at = nibble_of_four(q);
    const int bit = at.part % 2 * 4 + at.part / 2 * 2 + at.high;
    return nibbles_of_four(block.codes + i * 64, row, q) |
           four_of(block.high + i * 16 + 4 * row, bit, 1) << 4;
  }
};

struct BlockQ6K {
  uint16_t d[4];
  int8_t scales[64];
  uint8_t high[kLen];
  uint8_t codes[2 * kLen];
};
struct Q6K {
  using Block = BlockQ6K;
  static constexpr int kRows = 4, kSubLen = 16;
  static uint32_t four(const Block& block, int row, int i, int q) {
    const NibbleOfFour at = nibble_of_four(q);
    const uint8_t* high = block.high + i * 32 + at.part % 2 * 16 + 4 * row;
    return nibbles_of_four(block.codes + i * 64, row, q) |
           four_of(high, at.part / 2 * 4 + 2 * at.high, 3) << 4;
  }
  static float d(const Block& block, int row, int sub) {
    return f16_to_f32(block.d[row]) * static_cast<float>(block.scales[4 * sub + row]);
  }
};

struct BlockIQ4XS {
  uint16_t d[8];
  uint8_t scales_high[16], scales[32];
  uint8_t codes[4 * kLen];
};
struct IQ4XS {
  using Block = BlockIQ4XS;
  static constexpr int kRows = 8, kSubLen = 32;
  static uint32_t four(const Block& block, int row, int i, int q) {
    return look_up_four(kIk4Codes.data(),
                        four_of(block.codes + i * 128 + q / 2 * 32 + 4 * row, q % 2 * 4, 15));
  }
  static float d(const Block& block, int row, int sub) {
    const int scale = six_bits(block.scales, block.scales_high, 8 * sub + row) - 32;
    return f16_to_f32(block.d[row]) * static_cast<float>(scale);
  }
};

}  // namespace

const Format kQ2_K_R4 = interleaved<Q2K, kLen, true>(kQ2_K, GgmlType::Q2_K_R4);
const Format kQ3_K_R4 = interleaved<Q3K, kLen>(kQ3_K, GgmlType::Q3_K_R4);
const Format kQ4_K_R4 = interleaved<Q4K, kLen, true>(kQ4_K, GgmlType::Q4_K_R4);
const Format kQ5_K_R4 = interleaved<Q5K, kLen, true>(kQ5_K, GgmlType::Q5_K_R4);
const Format kQ6_K_R4 = interleaved<Q6K, kLen>(kQ6_K, GgmlType::Q6_K_R4);
const Format kIQ4_XS_R8 = interleaved<IQ4XS, kLen>(kIQ4_XS, GgmlType::IQ4_XS_R8);

}  // namespace crossval
