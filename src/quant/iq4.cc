// IQ4_NL and IQ4_XS: 4-bit indices into a table of 16 uneven steps. Layout and table:
// ggml/src/ggml-common.h `block_iq4_nl`, `block_iq4_xs`, `kvalues_iq4nl` (llama.cpp): nibbles as in
// Q4_0; IQ4_XS has 8 sub-blocks of 32 with 6-bit scales less 32. Steps are kept as codes of 8 bits,
// shifted by 128.
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/iq4_steps.h"

namespace crossval {
namespace {

constexpr int kSubLen = 32, kSuperLen = 256, kOffset = 128;

struct BlockIQ4NL {
  uint16_t d;
  uint8_t codes[kSubLen / 2];
};
static_assert(sizeof(BlockIQ4NL) == 18);

struct BlockIQ4XS {
  uint16_t d, scales_high;
  uint8_t scales_low[kSuperLen / 64];
  uint8_t codes[kSuperLen / 2];
};
static_assert(sizeof(BlockIQ4XS) == 136);

constexpr std::array<uint8_t, 16> kCodes = [] {
  std::array<uint8_t, 16> codes{};
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(kIq4Steps[i] + kOffset);
  return codes;
}();

void unpack_iq4_nl(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kSubLen; ++i) {
    const auto block = load_as<BlockIQ4NL>(row + i * int64_t{sizeof(BlockIQ4NL)});
    look_up_nibbles<kSubLen>(block.codes, kCodes, codes + i * kSubLen);
    d[i] = f16_to_f32(block.d);
  }
}

void unpack_iq4_xs(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  constexpr int kSubs = kSuperLen / kSubLen;
  for (int64_t i = 0; i < n / kSuperLen; ++i) {
    const auto block = load_as<BlockIQ4XS>(row + i * int64_t{sizeof(BlockIQ4XS)});
    const float scale = f16_to_f32(block.d);
    for (int j = 0; j < kSubs; ++j) {
      look_up_nibbles<kSubLen>(block.codes + 16 * j, kCodes, codes + i * kSuperLen + j * kSubLen);
      const int low = block.scales_low[j / 2] >> (4 * (j % 2)) & 15;
      const int upper = block.scales_high >> (2 * j) & 3;
      d[i * kSubs + j] = scale * static_cast<float>((low | upper << 4) - 32);
    }
  }
}

}  // namespace

const Format kIQ4_NL = {
    .type = GgmlType::IQ4_NL,
    .activation = ActivationType::Q8_0,
    .block_len = kSubLen,
    .block_bytes = sizeof(BlockIQ4NL),
    .sub_block_len = kSubLen,
    .code_bits = 8,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq4_nl, sizeof(BlockIQ4NL), kSubLen, kSubLen, kOffset>,
    .unpack = unpack_iq4_nl,
    .first_non_finite = first_bad_scale<kSubLen, sizeof(BlockIQ4NL), 0>};

const Format kIQ4_XS = {
    .type = GgmlType::IQ4_XS,
    .activation = ActivationType::Q8_K,
    .block_len = kSuperLen,
    .block_bytes = sizeof(BlockIQ4XS),
    .sub_block_len = kSubLen,
    .code_bits = 8,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack_iq4_xs, sizeof(BlockIQ4XS), kSuperLen, kSubLen, kOffset>,
    .unpack = unpack_iq4_xs,
    .first_non_finite = first_bad_scale<kSuperLen, sizeof(BlockIQ4XS), 0>};

}  // namespace crossval
