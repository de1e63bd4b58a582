// MiniMax-01: lightning attention in most layers, attention in every eighth; what a block makes is
// added to its normed input. MiniMax M3: each head of keys shows its queries the blocks of
// positions that an indexer chooses. Source: llama.cpp src/models/minimax-01.cpp, minimax-m3.cpp.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
namespace {

void choose_lightning(const Keys& keys, Config& config) {
  constexpr const char* key = "attention.recurrent_layers";
  const std::vector<bool> flags = keys.flags(key);
  const int period = keys.optional_int("full_attention_interval", 8, INT32_MAX);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const auto at = static_cast<size_t>(layer);
    const bool is_lightning = !flags.empty()  ? at < flags.size() && flags[at]
                              : keys.has(key) ? keys.optional_bool(key, false)
                                              : (layer + 1) % period != 0;
    config.layers[at].kind = is_lightning ? 1 : 0;
  }
}

// llama.cpp computes it so with flash attention alone; else every token sees all before it.
Arch minimax_m3() {
  Experts experts = kDeepSeekExperts;
  experts.act = Act::swiglu_oai;
  const Ffn dense = {.act = Act::swiglu_oai,
                     .biases = false,
                     .product_tap = "ffn_swiglu_oai",
                     .product_op = "SWIGLU_OAI"};
  return {.name = "minimax-m3",
          .rope = RopeStyle::neox,
          .layer = pre_norm_layer(
              Attention{.qk_norm = QkNorm::head,
                        .indexer = {.kind = Indexer::Kind::best_block, .only_with_experts = true},
                        .out_bias = false},
              {.dense = dense, .has_experts = true, .experts = experts})};
}

}  // namespace

std::vector<Arch> minimax_archs() {
  std::vector<Branch> layer = pre_norm_layer({.out_bias = false}, {.has_experts = true});
  for (Branch& branch : layer) branch.onto_norm = true;
  std::vector<Branch> lightning = layer;
  lightning[0].block = LightningAttention{};
  return {{.name = "minimax-01",
           .rope = RopeStyle::neox,
           .layer = layer,
           .other_layers = {lightning},
           .choose_kinds = choose_lightning,
           .residual_scale = {.key = "residual_scale"},
           .adjust = [](const Keys&, Config& config) { config.set_expert_lengths(config.n_ff); }},
          minimax_m3()};
}

}  // namespace crossval
