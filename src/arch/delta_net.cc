// Qwen3-Next and Qwen3.5 (dense and with experts): gated delta nets in most layers, gated attention
// in every fourth. Source: llama.cpp src/models/qwen3next.cpp, qwen35.cpp, qwen35moe.cpp, whose
// names the taps have. Those of 3.5 that see pictures compute as these on text alone.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

void choose_kinds(const Keys& keys, Config& config) {
  constexpr const char* key = "attention.recurrent_layers";
  const size_t n = config.layers.size();
  std::vector<bool> is_recurrent = keys.flags(key);
  if (is_recurrent.empty() && keys.has(key)) is_recurrent.assign(n, keys.optional_bool(key, false));
  if (is_recurrent.empty()) {
    const int period = keys.optional_int("full_attention_interval", 4, INT32_MAX);
    for (int layer = 0; layer < config.n_layers; ++layer) {
      is_recurrent.push_back((layer + 1) % period != 0);
    }
  }
  is_recurrent.resize(n);
  for (size_t layer = 0; layer < n; ++layer)
    config.layers[layer].kind = is_recurrent[layer] ? 1 : 0;
}

// Where the file does not say how long experts are (`load_arch_tensors`).
void adjust_experts(const Keys& keys, Config& config) {
  ExpertConfig& experts = config.experts;
  if (experts.n_experts == 0) return;
  if (keys.count("expert_feed_forward_length", 0, INT32_MAX) == 0) {
    experts.n_ff = config.n_ff / experts.n_used;
  }
  if (experts.n_ff_shared == 0) experts.n_ff_shared = config.n_ff;
}

Arch delta_net(std::string_view name, RopeStyle rope, const GatedDeltaNet& net,
               const FeedForward& ffn) {
  const Attention attention = {.qk_norm = QkNorm::head,
                               .out_bias = false,
                               .gate = Attention::Gate::sigmoid,
                               .gate_behind_queries = true,
                               .heads_tap = "attn_pregate",
                               .out_tap = "attn_output"};
  std::vector<Branch> layer = pre_norm_layer(attention, ffn);
  layer[0].sum_tap = "attn_residual";
  layer[1].norm = Role::attn_post_norm;
  layer[1].norm_tap = "attn_post_norm";
  std::vector<Branch> recurrent = layer;
  recurrent[0].block = net;
  return {.name = name,
          .rope = rope,
          .layer = layer,
          .other_layers = {recurrent},
          .choose_kinds = choose_kinds,
          .output_bias = false,
          .adjust = adjust_experts};
}

}  // namespace

std::vector<Arch> delta_net_archs() {
  const FeedForward mixture = {
      .has_experts = true,
      .experts = {
          .shared = true, .shared_gate = true, .shared_tap = "ffn_shexp_gated", .scales = true}};
  return {delta_net("qwen3next", RopeStyle::neox, {.grouped = true}, mixture),
          delta_net("qwen35", RopeStyle::interleaved, {.scales = true},
                    {.dense = {.scales = true, .biases = false}}),
          delta_net("qwen35moe", RopeStyle::interleaved, {.scales = true}, mixture)};
}

}  // namespace crossval
