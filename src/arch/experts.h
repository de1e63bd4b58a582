// What rows of several families say alike about experts.
#pragma once

#include <string_view>

#include "arch/arch.h"

namespace crossval {

// DeepSeek-V3's (arXiv:2412.19437, 2.1.2): dense layers first, then experts chosen by their
// probability and a bias, and one that every token takes.
inline constexpr Experts kDeepSeekExperts = {.gating = Gating::key,
                                             .weights_norm = Experts::Norm::key,
                                             .layers = ExpertLayers::after_leading,
                                             .selection_bias = true,
                                             .scale_key = true,
                                             .shared = true};

// The same, by sigmoids where the file does not say.
inline constexpr Experts kDeepSeekSigmoidExperts = [] {
  Experts experts = kDeepSeekExperts;
  experts.default_sigmoid = true;
  return experts;
}();

// Attention and experts, each behind its norm.
inline Arch mixture(std::string_view name, RopeStyle rope, const Attention& attention,
                    const Experts& experts) {
  return {.name = name,
          .rope = rope,
          .layer = pre_norm_layer(attention, {.has_experts = true, .experts = experts})};
}

}  // namespace crossval
