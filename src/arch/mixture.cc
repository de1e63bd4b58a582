// Mixtures of experts that differ from their dense relatives by the experts, and gpt-oss
// (arXiv:2508.10925: sinks, windows, a clamped SwiGLU with biases).
// Source: llama.cpp src/models/ under the names of the rows.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
namespace {

// Sinks in some layers, attention's result times a factor of the file.
Arch mimo2_arch() {
  Arch mimo2 = mixture(
      "mimo2", RopeStyle::neox,
      {.sinks = true,
       .sinks_optional = true,
       .qkv_scale = false,
       .qkv_bias = false,
       .out_bias = false},
      {.gating = Gating::sigmoid, .layers = ExpertLayers::with_router, .selection_bias = true});
  mimo2.window = {.period = 1, .needs_pattern = true, .rope_base = 10000, .rope_scale_alone = true};
  mimo2.adjust = [](const Keys& keys, Config& config) {
    const float factor = keys.optional_float("attention.value_scale", 0);
    if (factor != 0) config.attention_factor = factor;
  };
  return mimo2;
}

// The dense part, the experts beside it behind a norm of their own, both from the layer's input.
Arch arctic_arch() {
  Arch arctic = {
      .name = "arctic", .rope = RopeStyle::norm, .layer = pre_norm_layer({}, {.dense = {}})};
  // Its dense part is as wide as the model.
  arctic.adjust = [](const Keys&, Config& config) {
    for (LayerConfig& layer : config.layers) layer.n_ff = config.n_embd;
  };
  arctic.layer[1].sum_tap = nullptr;
  arctic.layer[1].is_dense = true;
  arctic.layer.push_back({.norm = Role::ffn_norm_exps,
                          .block = FeedForward{.has_experts = true},
                          .parallel = true,
                          .norm_tap = "ffn_norm_exps",
                          .sum_tap = "l_out"});
  return arctic;
}

}  // namespace

std::vector<Arch> mixture_archs() {
  Arch dbrx = mixture("dbrx", RopeStyle::neox, {.fused = true}, {});
  dbrx.norm = NormKind::layer;
  dbrx.layer[1].norm = Role::attn_out_norm;
  dbrx.layer[1].norm_tap = "attn_out_norm";
  dbrx.clamp_key = true;
  Arch gpt_oss = mixture("gpt-oss", RopeStyle::neox, {.sinks = true},
                         {.act = Act::swiglu_oai,
                          .gating = Gating::softmax_weight,
                          .weights_norm = Experts::Norm::no,
                          .biases = true});
  gpt_oss.biases = {.attn_output = true};
  gpt_oss.layer[1].norm = Role::attn_post_norm;
  gpt_oss.layer[1].norm_tap = "attn_post_norm";
  gpt_oss.window = {.period = 2};
  Arch mellum = mixture("mellum", RopeStyle::neox, {.qk_norm = QkNorm::head}, {.scales = true});
  mellum.window = {.period = 4, .rope_unscaled = true};
  Arch hunyuan = mixture("hunyuan-moe", RopeStyle::neox,
                         {.qk_norm = QkNorm::head, .qk_norm_after_rope = true}, {.shared = true});
  Arch exaone_moe =
      mixture("exaone-moe", RopeStyle::neox, {.qk_norm = QkNorm::head}, kDeepSeekExperts);
  exaone_moe.window = {.period = 4, .default_len = 128, .rope_in_windows_only = true};
  exaone_moe.rope_factors = true;
  Arch hy_v3 = mixture("hy_v3", RopeStyle::neox, {.qk_norm = QkNorm::head},
                       {.gating = Gating::key,
                        .weights_norm = Experts::Norm::key,
                        .layers = ExpertLayers::with_router,
                        .selection_bias = true,
                        .scale_key = true,
                        .shared = true,
                        .scales = true,
                        .default_sigmoid = true});
  std::get<FeedForward>(hy_v3.layer[1].block).dense.scales = true;
  hy_v3.bare_roles = {Role::exp_probs_b};
  Arch grovemoe = mixture("grovemoe", RopeStyle::neox, {.qk_norm = QkNorm::head},
                          {.choice = Experts::Choice::sigmoids, .adjugate = true});
  Arch maple = mixture("maple", RopeStyle::neox, {.qk_norm = QkNorm::head}, {.clamp_key = true});
  maple.window = {.period = 1, .rope_in_windows_only = true};
  Arch smallthinker =
      mixture("smallthinker", RopeStyle::neox, {},
              {.act = Act::relu, .gating = Gating::key, .router_reads_layer_input = true});
  smallthinker.window = {
      .period = 4, .first_sees_all = true, .fixed_len = 4096, .rope_in_windows_only = true};
  return {
      exaone_moe,
      hy_v3,
      maple,
      mimo2_arch(),
      grovemoe,
      smallthinker,
      arctic_arch(),
      dbrx,
      gpt_oss,
      mellum,
      mixture("minimax-m2", RopeStyle::neox, {.qk_norm = QkNorm::row},
              {.gating = Gating::key, .selection_bias = true}),
      hunyuan,
  };
}

}  // namespace crossval
