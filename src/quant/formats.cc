// The table of weight formats: one row each, defined in the family's own file.
#include "quant/formats.h"

#include "quant/format_rows.h"

namespace crossval {
namespace {

const Format* const kFormats[] = {
    &kF32,        &kF16,       &kBF16,     &kF64,        &kI8,       &kI16,       &kI32,
    &kI64,        &kQ4_0,      &kQ4_1,     &kQ5_0,       &kQ5_1,     &kQ8_0,      &kQ8_1,
    &kQ2_K,       &kQ3_K,      &kQ4_K,     &kQ5_K,       &kQ6_K,     &kQ8_K,      &kIQ1_S,
    &kIQ1_M,      &kIQ2_XXS,   &kIQ2_XS,   &kIQ2_S,      &kIQ3_XXS,  &kIQ3_S,     &kIQ4_NL,
    &kIQ4_XS,     &kTQ1_0,     &kTQ2_0,    &kMXFP4,      &kNVFP4,    &kQ1_0,      &kQ2_0,
    &kI2_S,       &kTL1,       &kTL2,      &kQ6_0,       &kIQ1_BN,   &kIQ2_BN,    &kIQ2_K,
    &kIQ3_K,      &kIQ4_K,     &kIQ5_K,    &kIQ6_K,      &kIQ2_KS,   &kIQ3_KS,    &kIQ4_KS,
    &kIQ5_KS,     &kIQ4_KSS,   &kIQ2_KL,   &kQ4_0_R8,    &kQ5_0_R4,  &kQ6_0_R4,   &kQ8_0_R8,
    &kIQ4_NL_R4,  &kIQ2_BN_R4, &kQ2_K_R4,  &kQ3_K_R4,    &kQ4_K_R4,  &kQ5_K_R4,   &kQ6_K_R4,
    &kIQ4_XS_R8,  &kIQ2_K_R4,  &kIQ3_K_R4, &kIQ4_K_R4,   &kIQ5_K_R4, &kIQ4_KS_R4, &kIQ5_KS_R4,
    &kIQ2_XXS_R4, &kIQ2_XS_R4, &kIQ2_S_R4, &kIQ3_XXS_R4, &kIQ3_S_R4,
};

}  // namespace

const Format* find_format(GgmlType type) {
  for (const Format* format : kFormats) {
    if (format->type == type) return format;
  }
  return nullptr;
}

const Format* find_i2_s_format(I2sLayout layout) {
  switch (layout) {
    case I2sLayout::x86:
      return &kI2_S;
    case I2sLayout::arm:
      return &kI2_S_ARM;
    case I2sLayout::bitnet32:
      return &kI2_S_32;
    case I2sLayout::qk256:
      return &kI2_S_QK256;
    case I2sLayout::rows4:
    case I2sLayout::bitnet32_split:
      break;
  }
  return nullptr;
}

std::span<const Format* const> all_formats() { return kFormats; }

}  // namespace crossval
