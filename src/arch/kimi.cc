// Kimi Delta Attention in most layers, latent attention in the others: those with heads of keys.
// Source: llama.cpp src/models/kimi-linear.cpp, bailingmoe3.cpp, kimi-k3.cpp.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
namespace {

void channel_net_without_heads(const Keys&, Config& config) {
  for (LayerConfig& layer : config.layers) layer.kind = layer.n_kv_heads == 0 ? 1 : 0;
}

Arch kimi(std::string_view name, const LatentAttention& attention, const ChannelDeltaNet& net,
          const Experts& experts) {
  const std::vector<Branch> layer =
      pre_norm_layer(attention, {.has_experts = true, .experts = experts});
  std::vector<Branch> recurrent = layer;
  recurrent[0].block = net;
  return {.name = name,
          .rope = RopeStyle::norm,
          .layer = layer,
          .other_layers = {recurrent},
          .choose_kinds = channel_net_without_heads,
          .output_bias = false};
}

}  // namespace

std::vector<Arch> kimi_archs() {
  Experts experts = kDeepSeekExperts;
  experts.shared_tap = "ffn_shexp";
  Experts normed = experts;
  normed.weights_norm = Experts::Norm::yes;
  const LatentAttention rows_alone = {.rotates = false, .q_row = false, .yarn_scores = false};
  Experts limited = experts;
  limited.clamp_key = limited.clamp_shared = limited.clamp_after = true;
  const LatentAttention gated = {
      .gate = LatentAttention::Gate::head, .out_scale = false, .yarn_scores = false};
  Experts latent = experts;
  latent.act = Act::situ;
  latent.latent = true;
  Arch k3 = kimi("kimi-k3",
                 {.rotates = false,
                  .gate = LatentAttention::Gate::element,
                  .out_scale = false,
                  .yarn_scores = false},
                 {.fused = false,
                  .gate_row = false,
                  .gate = Role::ssm_g,
                  .bound = ChannelDeltaNet::Bound::negated_key,
                  .flat_a = true},
                 latent);
  k3.residual_checkpoints = true;
  for (std::vector<Branch>* layer : {&k3.layer, &k3.other_layers[0]}) {
    (*layer)[0].checkpoint_score = Role::attn_res_score;
    (*layer)[1].checkpoint_score = Role::ffn_res_score;
    (*layer)[0].sum_tap = "prefix_sum_attn";
    std::get<FeedForward>((*layer)[1].block).dense.act = Act::situ;
  }
  return {kimi("kimi-linear", rows_alone, {}, normed),
          kimi("bailingmoe3", gated,
               {.fused = false,
                .decay_row = false,
                .gate_row = false,
                .gate = Role::ssm_g_a,
                .bound = ChannelDeltaNet::Bound::key},
               limited),
          k3};
}

}  // namespace crossval
