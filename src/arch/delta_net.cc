// Qwen3-Next, Qwen3.5 (dense and with experts) and what is to be Qwen 4: gated delta nets in most
// layers, gated attention in every fourth. Source: llama.cpp src/models/qwen3next.cpp, qwen35.cpp,
// qwen35moe.cpp, qwen4exp.cpp, whose names the taps have. Those of 3.5 that see pictures compute as
// these on text alone.
#include <array>

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
  if (!keys.has("expert_feed_forward_length") ||
      keys.model().get_int(keys.full("expert_feed_forward_length")) == 0) {
    config.set_expert_lengths(config.n_ff / config.layers[0].n_experts_used);
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

// Streams instead of norms, an indexer, gates of sigmoids, rows by the latest ids in one layer.
Arch qwen4(const FeedForward& mixture) {
  Arch arch = delta_net("qwen4exp", RopeStyle::interleaved, {.scales = true, .sigmoid_gate = true},
                        mixture);
  const auto set_roles = [](Branch& branch, const std::array<Role, 4>& roles, const char* tap) {
    branch.norm = Role::none;
    branch.norm_tap = nullptr;
    branch.hyper_norm = roles[0];
    branch.hyper_down = roles[1];
    branch.hyper_up = roles[2];
    branch.hyper_inject = roles[3];
    branch.sum_tap = tap;
  };
  for (std::vector<Branch>* layer : {&arch.layer, &arch.other_layers[0]}) {
    set_roles((*layer)[0],
              {Role::hc_attn_norm, Role::hc_attn_down, Role::hc_attn_up, Role::hc_attn_inject},
              "hc_combine");
    set_roles((*layer)[1],
              {Role::hc_ffn_norm, Role::hc_ffn_down, Role::hc_ffn_up, Role::hc_ffn_inject},
              "l_last");
  }
  auto& attention = std::get<Attention>(arch.layer[0].block);
  attention.qkv_bias = false;
  attention.indexer.kind = Indexer::Kind::mean_block;
  arch.hyper = Arch::Hyper::gates;
  arch.ngrams = true;
  arch.output_norm = Role::none;  // the streams' last gates have it
  return arch;
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
          delta_net("qwen35moe", RopeStyle::interleaved, {.scales = true}, mixture),
          qwen4(mixture)};
}

}  // namespace crossval
