// DeepSeek V4: attention over a window and compressed rows, streams that are mixed, experts by the
// square root of a softplus, in the first layers by the token's number.
// Source: llama.cpp src/models/deepseek4.cpp, whose names the taps have.
#include "arch/archs.h"
#include "arch/experts.h"
#include "arch/hyper.h"

namespace crossval {

std::vector<Arch> deepseek4_archs() {
  Experts experts = kDeepSeekExperts;
  experts.layers = ExpertLayers::all;
  experts.clamp_key = experts.clamp_shared = true;
  experts.picture_bias = true;
  Arch arch = {
      .name = "deepseek4",
      .rope = RopeStyle::norm,
      .layer = pre_norm_layer(CompressedAttention{}, {.has_experts = true, .experts = experts}),
      .window = {.period = INT32_MAX},
      .hyper = Arch::Hyper::mixes};
  set_hyper_roles(arch.layer);
  arch.layer[0].sum_tap = "hc_attn_post";
  arch.layer[1].sum_tap = "l_last";
  return {arch};
}

}  // namespace crossval
