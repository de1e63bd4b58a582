// The table of weight formats: one row each, defined in the family's own file.
#include "quant/formats.h"

#include "quant/format_rows.h"

namespace crossval {
namespace {

const Format* const kFormats[] = {
    &kF32,    &kF16,    &kBF16,  &kQ4_0,  &kQ4_1,  &kQ5_0,    &kQ5_1,   &kQ8_0,  &kQ2_K,    &kQ3_K,
    &kQ4_K,   &kQ5_K,   &kQ6_K,  &kIQ1_S, &kIQ1_M, &kIQ2_XXS, &kIQ2_XS, &kIQ2_S, &kIQ3_XXS, &kIQ3_S,
    &kIQ4_NL, &kIQ4_XS, &kTQ1_0, &kTQ2_0, &kI2_S,  &kIQ2_BN,  &kMXFP4,  &kNVFP4, &kQ1_0,    &kQ2_0,
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
