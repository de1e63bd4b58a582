// Mixtures of experts that differ from their dense relatives by the experts, and gpt-oss
// (arXiv:2508.10925: sinks, windows, a clamped SwiGLU with biases).
// Source: llama.cpp src/models/ under the names of the rows.
#include "arch/archs.h"

namespace crossval {
namespace {

Arch mixture(std::string_view name, RopeStyle rope, const Attention& attention,
             const Experts& experts) {
  return {.name = name,
          .rope = rope,
          .layer = pre_norm_layer(attention, {.has_experts = true, .experts = experts})};
}

}  // namespace

std::vector<Arch> mixture_archs() {
  Arch dbrx = mixture("dbrx", RopeStyle::neox, {}, {});
  dbrx.norm = NormKind::layer;
  dbrx.layer[1].norm = Role::attn_out_norm;
  dbrx.layer[1].norm_tap = "attn_out_norm";
  dbrx.clamp_key = true;
  Arch gpt_oss = mixture("gpt-oss", RopeStyle::neox, {.sinks = true},
                         {.act = Act::swiglu_oai,
                          .gating = Gating::softmax_weight,
                          .weights_norm = Experts::Norm::no,
                          .biases = true});
  gpt_oss.layer[1].norm = Role::attn_post_norm;
  gpt_oss.layer[1].norm_tap = "attn_post_norm";
  gpt_oss.window = {.period = 2};
  Arch mellum = mixture("mellum", RopeStyle::neox, {.qk_norm = QkNorm::head}, {.scales = true});
  mellum.window = {.period = 4, .rope_unscaled = true};
  Arch hunyuan = mixture("hunyuan-moe", RopeStyle::neox,
                         {.qk_norm = QkNorm::head, .qk_norm_after_rope = true}, {.shared = true});
  hunyuan.rope_factors = true;
  return {
      dbrx,
      gpt_oss,
      mellum,
      mixture("minimax-m2", RopeStyle::neox, {.qk_norm = QkNorm::row},
              {.gating = Gating::key, .selection_bias = true}),
      hunyuan,
  };
}

}  // namespace crossval
