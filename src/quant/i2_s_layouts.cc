// The other layouts under I2_S's type id (gguf/i2_s_layout.h names them). Which of them a tensor
// has is TensorView::i2_s_layout.
//
// ARM builds of bitnet.cpp (src/ggml-bitnet-mad.cpp, `quantize_i2_s` under __ARM_NEON): 64 weights
// in 16 bytes, byte p holds weights p, p + 16, p + 32, p + 48 from its highest bits down; otherwise
// as x86. Its kernels give the same integer sums as those of x86.
//
// BitNet-rs (crates/bitnet-models/src/quant/i2s.rs and i2s_qk256.rs): 4 consecutive weights a byte
// from its lowest bits up, codes 0 to 3 are -2, -1, +1, +2, activations are not rounded. Its
// loader takes the magnitude of a block's scale within [1e-3, 1e3]; here a scale is what is stored.
#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kArmLen = 64, kArmBytes = 16, kSubLen = 32;

void unpack_arm(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kArmLen; ++i) {
    for (int p = 0; p < kArmBytes; ++p) {
      const auto packed = static_cast<unsigned>(row[i * kArmBytes + p]);
      for (int j = 0; j < 4; ++j) {
        codes[i * kArmLen + 16 * j + p] = static_cast<uint8_t>(packed >> (6 - 2 * j) & 3u);
      }
    }
  }
  for (int64_t sub = 0; sub < n / kSubLen; ++sub) d[sub] = 1.0f;
}

// Codes of -2, -1, +1, +2 less the offset of 2.
constexpr uint8_t kCodes[4] = {0, 1, 3, 4};
constexpr int kOffset = 2, kCodeBytes = 8;

void unpack_block(const std::byte* block, uint8_t* codes) {
  for (int p = 0; p < kCodeBytes; ++p) {
    const auto packed = static_cast<unsigned>(block[p]);
    for (int j = 0; j < 4; ++j) codes[4 * p + j] = kCodes[packed >> (2 * j) & 3u];
  }
}

constexpr int kScaledBytes = kCodeBytes + 2;

void unpack_scaled(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kSubLen; ++i) {
    unpack_block(row + i * kScaledBytes, codes + i * kSubLen);
    d[i] = f16_to_f32(load_as<uint16_t>(row + i * kScaledBytes + kCodeBytes));
  }
}

void unpack_qk256(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kSubLen; ++i) {
    unpack_block(row + i * kCodeBytes, codes + i * kSubLen);
    d[i] = 1.0f;
  }
}

constexpr Format arm_format(GgmlType type) {
  return {.type = type,
          .activation = ActivationType::I8_ROW,
          .block_len = kArmLen,
          .block_bytes = kArmBytes,
          .sub_block_len = kSubLen,
          .code_bits = 4,
          .offset = 1,
          .has_min = false,
          .dequantize = dequantize_codes<unpack_arm, kArmBytes, kArmLen, kSubLen, 1>,
          .unpack = unpack_arm,
          .first_non_finite = no_scales,
          .has_tensor_scale = true};
}

}  // namespace

const Format kI2_S_ARM = arm_format(GgmlType::I2_S);
// bitnet.cpp's TL1 and TL2 as ModelFile hands them out; its kernels for them round activations and
// sum as those for I2_S do.
const Format kTL1 = arm_format(GgmlType::TL1), kTL2 = arm_format(GgmlType::TL2);

const Format kI2_S_32 = {
    .type = GgmlType::I2_S,
    .activation = ActivationType::F32,
    .block_len = kSubLen,
    .block_bytes = kScaledBytes,
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_scaled, kScaledBytes, kSubLen, kSubLen, kOffset>,
    .unpack = unpack_scaled,
    .first_non_finite = first_bad_scale<kSubLen, kScaledBytes, kCodeBytes>};

const Format kI2_S_QK256 = {
    .type = GgmlType::I2_S,
    .activation = ActivationType::F32,
    .block_len = kSubLen,
    .block_bytes = kCodeBytes,
    .sub_block_len = kSubLen,
    .code_bits = 4,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_qk256, kCodeBytes, kSubLen, kSubLen, kOffset>,
    .unpack = unpack_qk256,
    .first_non_finite = no_scales,
    .row_bytes_multiple = 64};

}  // namespace crossval
