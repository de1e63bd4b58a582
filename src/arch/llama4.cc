// Llama 4: three layers that rotate and see a chunk of the positions, then one that sees all and
// does not rotate, whose queries grow with their position; of the experts one, which reads the
// input times its weight. Source: llama.cpp src/models/llama4.cpp.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

void adjust_llama4(const Keys&, Config& config) {
  config.experts.n_ff_shared = config.layers.back().n_ff_expert;
  if (config.window_len != 0) {
    config.temperature = {.scale = 0.1f, .length = config.window_len, .offset = 1};
  } else {
    // llama.cpp's way of saying that all rotate leaves the last one out.
    for (LayerConfig& layer : config.layers) layer.has_rope = true;
    config.layers.back().has_rope = false;
  }
  // The model of 128 experts has no norms of queries and keys.
  for (LayerConfig& layer : config.layers) {
    layer.has_qk_norm = layer.has_rope && config.experts.n_experts != 128;
  }
}

}  // namespace

std::vector<Arch> llama4_archs() {
  constexpr int kChunk = 8192;
  return {{.name = "llama4",
           .rope = RopeStyle::norm,
           .layer = pre_norm_layer(
               {.qk_norm = QkNorm::plain, .qk_norm_after_rope = true, .temperature = true},
               {.has_experts = true,
                .experts = {.gating = Gating::sigmoid,
                            .weights_norm = Experts::Norm::no,
                            .layers = ExpertLayers::every_step,
                            .choice = Experts::Choice::logits,
                            .shared = true,
                            .weights_before = true}}),
           .window = {.period = 4, .default_len = kChunk, .chunked = true, .fixed_len = kChunk},
           .rope_factors = true,
           .no_rope_period = 4,
           .adjust = adjust_llama4}};
}

}  // namespace crossval
