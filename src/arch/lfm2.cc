// LFM2: short convolutions between gates in most layers, attention in those that have heads of
// keys. Source: llama.cpp src/models/lfm2.cpp, lfm2moe.cpp, whose names the taps have.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

void choose_kinds(const Keys&, Config& config) {
  for (LayerConfig& layer : config.layers) layer.kind = layer.n_kv_heads == 0 ? 1 : 0;
}

// A window, where the file has one, is that of every layer with attention, whatever the pattern
// says; angles are made alike.
void adjust_lfm2(const Keys&, Config& config) {
  for (LayerConfig& layer : config.layers) {
    layer.has_window = config.window_len > 0 && !layer.is_recurrent;
  }
  config.window_rope = config.rope;
}

Arch lfm2(std::string_view name, const FeedForward& ffn) {
  const Attention attention = {
      .qk_norm = QkNorm::head, .out_bias = false, .out_tap = "model.layers.{}.self_attn.out_proj"};
  std::vector<Branch> layer = pre_norm_layer(attention, ffn);
  layer[0].norm_tap = "model.layers.{}.operator_norm";
  layer[0].sum_tap = nullptr;
  layer[1].norm_tap = "model.layers.{}.ffn_out";  // its name in llama.cpp, which overwrites it
  std::vector<Branch> recurrent = layer;
  recurrent[0].block = ShortConv{.out_tap = "model.layers.{}.conv.out_proj"};
  return {.name = name,
          .rope = RopeStyle::neox,
          .layer = layer,
          .other_layers = {recurrent},
          .choose_kinds = choose_kinds,
          .output_norm = Role::output_norm_lfm2,
          .adjust = adjust_lfm2};
}

}  // namespace

std::vector<Arch> lfm2_archs() {
  const Ffn dense = {.out_tap = nullptr};
  Arch plain = lfm2("lfm2", {.dense = dense});
  plain.window = {.period = 1};
  return {plain, lfm2("lfm2moe", {.dense = dense,
                                  .has_experts = true,
                                  .experts = {.gating = Gating::key,
                                              .layers = ExpertLayers::after_leading,
                                              .selection_bias = true}})};
}

}  // namespace crossval
