#include "compare/op_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace crossval {
namespace {

constexpr OpParameter kParameters[] = {
    {"CLAMP", "smallest value", 0, true},
    {"CLAMP", "largest value", 1, true},
    {"FLASH_ATTN_EXT", "attention scale", 0, true},
    {"FLASH_ATTN_EXT", "ALiBi bias", 1, true},
    {"FLASH_ATTN_EXT", "soft cap", 2, true},
    {"FUSED_NORM", "norm eps", 0, true},
    {"FUSED_RMS_NORM", "rms eps", 0, true},
    {"GROUP_NORM", "groups", 0, false},
    {"GROUP_NORM", "norm eps", 1, true},
    {"L2_NORM", "norm eps", 0, true},
    {"LEAKY_RELU", "slope", 0, true},
    {"NORM", "norm eps", 0, true},
    {"RMS_NORM", "rms eps", 0, true},
    {"ROPE", "rotated dimensions", 1, false},
    {"ROPE", "rope mode", 2, false},
    {"ROPE", "original context of rope", 4, false},
    {"ROPE", "rope base", 5, true},
    {"ROPE", "rope frequency scale", 6, true},
    {"ROPE", "YaRN mix", 7, true},
    {"ROPE", "attn_factor of rope", 8, true},
    {"ROPE", "YaRN beta_fast", 9, true},
    {"ROPE", "YaRN beta_slow", 10, true},
    {"ROPE", "rope section 0", 11, false},
    {"ROPE", "rope section 1", 12, false},
    {"ROPE", "rope section 2", 13, false},
    {"ROPE", "rope section 3", 14, false},
    {"SCALE", "factor", 0, true},
    {"SCALE", "summand", 1, true},
    {"SOFT_MAX", "attention scale", 0, true},
    {"SOFT_MAX", "ALiBi bias", 1, true},
    {"SWIGLU_OAI", "alpha", 2, true},
    {"SWIGLU_OAI", "limit", 3, true},
};
static_assert(std::ranges::is_sorted(kParameters, {}, &OpParameter::op));

// GGML_ROPE_TYPE_*, ggml.h of v0.5.0.
std::string rope_mode(int32_t mode) {
  switch (mode) {
    case 0:
      return "adjacent pairs (norm)";
    case 2:
      return "halves (neox)";
    case 8:
      return "sections (mrope)";
    case 24:
      return "sections (vision)";
    case 40:
      return "interleaved sections (imrope)";
    default:
      return fmt::format("mode {}", mode);
  }
}

}  // namespace

std::span<const OpParameter> parameters_of(std::string_view op) {
  const auto* first = std::ranges::lower_bound(kParameters, op, {}, &OpParameter::op);
  const auto* last = std::ranges::upper_bound(kParameters, op, {}, &OpParameter::op);
  return {first, last};
}

std::string parameter_text(const OpParameter& parameter, int32_t word) {
  if (parameter.name == "rope mode") return rope_mode(word);
  return parameter.is_float ? fmt::format("{:g}", std::bit_cast<float>(word))
                            : std::to_string(word);
}

}  // namespace crossval
