// MiniMax-01: lightning attention in most layers, attention in every eighth; what a block makes is
// added to its normed input. Source: llama.cpp src/models/minimax-01.cpp.
#include "arch/archs.h"
#include "arch/config.h"

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
           .adjust = [](const Keys&, Config& config) { config.experts.n_ff = config.n_ff; }}};
}

}  // namespace crossval
