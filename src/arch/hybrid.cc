// Scans and attention in one model, by turns (Jamba, Granite 4, Nemotron-H, PLaMo 2) or side by
// side (Falcon-H1). Source: llama.cpp src/models/ under the names of the rows.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/tensors.h"

namespace crossval {
namespace {

using Form = SelectiveScan::Form;
using GroupNorm = SelectiveScan::GroupNorm;

// Layers without heads of keys have a scan in the place of attention.
void recurrent_without_heads(const Keys&, Config& config) {
  for (LayerConfig& layer : config.layers) layer.kind = layer.n_kv_heads == 0 ? 1 : 0;
}

Arch hybrid(std::string_view name, RopeStyle rope, const std::vector<Branch>& layer,
            const SelectiveScan& scan) {
  std::vector<Branch> recurrent = layer;
  recurrent[0].block = scan;
  return {.name = name,
          .rope = rope,
          .layer = layer,
          .other_layers = {recurrent},
          .choose_kinds = recurrent_without_heads};
}

// The layers with experts are those that have a router. Experts are as long as dense parts, here
// and in Granite, whatever expert_feed_forward_length says.
void adjust_jamba(const Keys& keys, Config& config) {
  config.set_expert_lengths(config.n_ff);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const TensorSpec router = {.role = Role::ffn_gate_inp, .layer = layer};
    LayerConfig& sizes = config.layers[static_cast<size_t>(layer)];
    sizes.has_experts = sizes.has_experts && keys.model().find_tensor(router.name()) != nullptr;
  }
}

Arch jamba() {
  std::vector<Branch> layer = pre_norm_layer(
      {.out_bias = false}, {.has_experts = true, .experts = {.weights_norm = Experts::Norm::no}});
  layer[0].sum_tap = nullptr;
  Arch arch = hybrid("jamba", RopeStyle::none, layer, {.form = Form::mamba1, .dt_b_c_norms = true});
  arch.adjust = adjust_jamba;
  return arch;
}

Arch granite_hybrid() {
  Arch arch = hybrid("granitehybrid", RopeStyle::norm,
                     pre_norm_layer({}, {.has_experts = true, .experts = {.shared = true}}),
                     {.form = Form::mamba2, .group_norm = GroupNorm::yes, .out_tap = "mamba_out"});
  arch.embedding_scale = {.key = "embedding_scale", .fallback = 0};
  arch.residual_scale = {.key = "residual_scale", .fallback = 0};
  arch.logit_scale = {.key = "logit_scale", .fallback = 0, .divides = true};
  arch.attention_scale_key = true;
  arch.rope_factors = true;
  // rope.scaling.finetuned = false: trained without positions.
  arch.adjust = [](const Keys& keys, Config& config) {
    config.set_expert_lengths(config.n_ff);
    if (keys.optional_bool("rope.scaling.finetuned", true)) return;
    for (LayerConfig& layer : config.layers) layer.has_rope = false;
  };
  return arch;
}

Arch falcon_h1() {
  std::vector<Branch> layer = pre_norm_layer({.out_bias = false}, {.dense = {}});
  layer[0].sum_tap = nullptr;
  layer.insert(layer.begin() + 1, {.norm = Role::attn_norm,
                                   .block = SelectiveScan{.form = Form::mamba2,
                                                          .group_norm = GroupNorm::optional,
                                                          .out_tap = "ssm_out"},
                                   .parallel = true,
                                   .norm_tap = "ssm_in",
                                   .sum_tap = "ffn_inp"});
  return {
      .name = "falcon-h1", .rope = RopeStyle::neox, .layer = layer, .bare_roles = {Role::ffn_norm}};
}

Arch plamo2() {
  std::vector<Branch> layer =
      both_norms_layer({.qk_norm = QkNorm::each_head, .fused = true, .qkv_scale = false},
                       {.dense = {.fused = true}});
  layer[0].norm_tap = nullptr;
  layer[0].sum_tap = "attn_residual";
  layer[1].norm_tap = "ffn_pre_norm";
  layer[1].sum_tap = "ffn_residual";
  Arch arch =
      hybrid("plamo2", RopeStyle::neox, layer,
             {.form = Form::plamo2, .dt_b_c_norms = true, .scales = false, .out_tap = "mamba_out"});
  arch.bare_roles = {Role::attn_post_norm, Role::ffn_post_norm, Role::ssm_dt_norm, Role::ssm_b_norm,
                     Role::ssm_c_norm};
  return arch;
}

// A layer is a scan, attention or a feed-forward part: one with neither heads of keys nor a
// feed-forward length is a scan.
void choose_nemotron_kinds(const Keys&, Config& config) {
  for (LayerConfig& layer : config.layers) {
    layer.kind = layer.n_ff != 0 ? 2 : layer.n_kv_heads == 0 ? 1 : 0;
  }
}

// Where the file does not say how long experts are: nemotron-h.cpp `load_arch_tensors`.
void adjust_nemotron(const Keys& keys, Config& config) {
  if (config.experts.n_experts == 0) return;
  const std::vector<int> lengths =
      keys.per_layer("expert_feed_forward_length", config.n_layers, 0, INT32_MAX);
  for (size_t i = 0; i < lengths.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    if (lengths[i] == 0 && layer.n_experts_used != 0)
      layer.n_ff_expert = layer.n_ff / layer.n_experts_used;
  }
}

Arch nemotron_h(std::string_view name) {
  const auto one = [](const auto& block) {
    return std::vector<Branch>{{.norm = Role::attn_norm,
                                .block = block,
                                .norm_tap = "attn_norm",
                                .sum_tap = "nemotron_h_block_out"}};
  };
  const Ffn dense = {.act = Act::relu_squared,
                     .gated = false,
                     .scales = true,
                     .product_tap = "ffn_sqr(relu)",
                     .product_op = "SQR",
                     .out_tap = "l_out"};
  return {.name = name,
          .rope = RopeStyle::none,
          .layer = one(Attention{}),
          .other_layers = {one(SelectiveScan{.form = Form::mamba2,
                                             .group_norm = GroupNorm::yes,
                                             .out_tap = "mamba_out"}),
                           one(FeedForward{.dense = dense,
                                           .has_experts = true,
                                           .experts = {.act = Act::relu_squared,
                                                       .gated = false,
                                                       .gating = Gating::sigmoid,
                                                       .weights_norm = Experts::Norm::key,
                                                       .selection_bias = true,
                                                       .scale_key = true,
                                                       .shared = true,
                                                       .scales = true}})},
          .choose_kinds = choose_nemotron_kinds,
          .adjust = adjust_nemotron};
}

}  // namespace

std::vector<Arch> hybrid_archs() {
  return {jamba(),
          granite_hybrid(),
          falcon_h1(),
          nemotron_h("nemotron_h"),
          nemotron_h("nemotron_h_moe"),
          plamo2()};
}

}  // namespace crossval
