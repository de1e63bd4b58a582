// Q4_0_R8, Q5_0_R4, Q6_0_R4, Q8_0_R8, IQ4_NL_R4 and IQ2_BN_R4 of ik_llama.cpp. Layout:
// ggml/src/iqk/iqk_quantize.cpp `repack_q4_0` and so on, `dequantize_row_q4_0_r8` and so on.
#include "quant/ik_steps.h"
#include "quant/rows_together.h"

namespace crossval {
namespace {

constexpr int kLen = 32;

template <int kRowsTogether, typename Block_>
struct OneScale {
  using Block = Block_;
  static constexpr int kRows = kRowsTogether, kSubLen = kLen;
  static float d(const Block& block, int row, int) { return f16_to_f32(block.d[row]); }
};

struct BlockQ40 {
  uint16_t d[8];
  uint8_t codes[8 * kLen / 2];
};
struct Q40 : OneScale<8, BlockQ40> {
  static uint32_t four(const Block& block, int row, int, int q) {
    return four_of(block.codes + q % 4 * 32 + 4 * row, q / 4 * 4, 15);
  }
};

struct BlockQ50 {
  uint16_t d[4];
  uint8_t high[16];
  uint8_t codes[4 * kLen / 2];
};
struct Q50 : OneScale<4, BlockQ50> {
  static uint32_t four(const Block& block, int row, int, int q) {
    const NibbleOfFour at = nibble_of_four(q);
    return nibbles_of_four(block.codes, row, q) |
           four_of(block.high + 4 * row, at.part + 4 * at.high, 1) << 4;
  }
};

struct BlockQ60 {
  uint16_t d[4];
  uint8_t high[32];
  uint8_t codes[4 * kLen / 2];
};
struct Q60 : OneScale<4, BlockQ60> {
  static uint32_t four(const Block& block, int row, int, int q) {
    const NibbleOfFour at = nibble_of_four(q);
    return nibbles_of_four(block.codes, row, q) |
           four_of(block.high + at.part % 2 * 16 + 4 * row, at.part / 2 * 2 + 4 * at.high, 3) << 4;
  }
};

struct BlockQ80 {
  uint16_t d[8];
  int8_t codes[8 * kLen];
};
struct Q80 : OneScale<8, BlockQ80> {
  static uint32_t four(const Block& block, int row, int, int q) {
    return load_as<uint32_t>(block.codes + q * 32 + 4 * row) ^ 0x80808080u;  // signed: + 128
  }
};

struct BlockIQ4NL {
  uint16_t d[4];
  uint8_t codes[4 * kLen / 2];
};
struct IQ4NL : OneScale<4, BlockIQ4NL> {
  static uint32_t four(const Block& block, int row, int, int q) {
    return look_up_four(kIk4Codes.data(), nibbles_of_four(block.codes, row, q));
  }
};

struct IQ2BN {
  struct Block {
    uint8_t codes[64];
  };
  static constexpr int kRows = 4, kSubLen = 16;
  static uint32_t four(const Block& block, int row, int i, int q) {
    return two_bits_of_four(block.codes + i * 32, row, q);
  }
  static float d(const Block&, int, int) { return 1; }
};

}  // namespace

const Format kQ4_0_R8 = interleaved<Q40, kLen>(kQ4_0, GgmlType::Q4_0_R8);
const Format kQ5_0_R4 = interleaved<Q50, kLen>(kQ5_0, GgmlType::Q5_0_R4);
const Format kQ6_0_R4 = interleaved<Q60, kLen>(kQ6_0, GgmlType::Q6_0_R4);
const Format kQ8_0_R8 = interleaved<Q80, kLen>(kQ8_0, GgmlType::Q8_0_R8);
const Format kIQ4_NL_R4 = interleaved<IQ4NL, kLen>(kIQ4_NL, GgmlType::IQ4_NL_R4);
const Format kIQ2_BN_R4 = [] {
  Format format = interleaved<IQ2BN, 64>(kIQ2_BN, GgmlType::IQ2_BN_R4);
  format.activation = ActivationType::I8_FOUR_16;
  return format;
}();

}  // namespace crossval
