// Granite and MiniCPM: Llama with scales on embeddings, branches and logits.
// Source: llama.cpp src/models/granite.cpp, granite-moe.cpp, minicpm.cpp.
#include <algorithm>
#include <cmath>

#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

Arch granite(std::string_view name, void (*adjust)(const Keys&, Config&)) {
  return {.name = name,
          .rope = RopeStyle::norm,
          .layer = pre_norm_layer({}, {.has_experts = true, .experts = {.shared = true}}),
          .embedding_scale = {.key = "embedding_scale", .fallback = 0},
          .residual_scale = {.key = "residual_scale", .fallback = 0},
          .logit_scale = {.key = "logit_scale", .fallback = 0, .divides = true},
          .attention_scale_key = true,
          .rope_factors = true,
          .adjust = adjust};
}

// rope.scaling.finetuned = false: trained without positions.
void adjust_granite(const Keys& keys, Config& config) {
  if (keys.optional_bool("rope.scaling.finetuned", true)) return;
  for (LayerConfig& layer : config.layers) layer.has_rope = false;
}

// Layers without positions by attention.rope_pattern; windows do not change the rotation.
void adjust_granite_swa(const Keys& keys, Config& config) {
  const std::vector<bool> has_rope = keys.flags("attention.rope_pattern");
  for (size_t layer = 0; layer < std::min(has_rope.size(), config.layers.size()); ++layer) {
    config.layers[layer].has_rope = has_rope[layer];
  }
  config.window_rope = config.rope;
}

void adjust_minicpm(const Keys& keys, Config& config) {
  if (!keys.has("embedding_scale")) config.embedding_scale = 12;
  if (!keys.has("residual_scale")) {
    config.residual_scale = 1.4f / std::sqrt(static_cast<float>(config.n_layers));
  }
  if (!keys.has("logit_scale")) {
    config.logit_scale = 1 / (256.0f / static_cast<float>(config.n_embd));
  }
}

}  // namespace

std::vector<Arch> granite_archs() {
  Arch minicpm = granite("minicpm", adjust_minicpm);
  std::get<FeedForward>(minicpm.layer[1].block).experts.shared = false;
  minicpm.attention_scale_key = false;
  Arch swa = granite("granite_swa", adjust_granite_swa);
  swa.layer = pre_norm_layer(
      {.sinks = true}, {.has_experts = true, .experts = {.shared = true, .shared_fused = true}});
  swa.window = {.period = 1, .needs_pattern = true};
  return {granite("granite", adjust_granite), granite("granitemoe", nullptr), minicpm, swa};
}

}  // namespace crossval
