// Command R and its successors: one layer norm without bias, both blocks in parallel behind it,
// logits scaled. Source: llama.cpp src/models/command-r.cpp, cohere2.cpp.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {

std::vector<Arch> cohere_archs() {
  const Arch command_r = {
      .name = "command-r",
      .rope = RopeStyle::norm,
      .norm = NormKind::layer,
      .layer = parallel_layer(
          {.qk_norm = QkNorm::each_head, .qk_norm_optional = true, .qk_norm_kind = NormKind::layer},
          {.dense = {}}),
      .logit_scale = {.key = "logit_scale", .fallback = 0},
      .tied_output = true};
  const Arch cohere2 = {.name = "cohere2",
                        .rope = RopeStyle::norm,
                        .norm = NormKind::layer,
                        .layer = parallel_layer({}, {.dense = {.scales = true}}),
                        .window = {.period = 4, .rope_in_windows_only = true},
                        .logit_scale = {.key = "logit_scale", .fallback = 0},
                        .tied_output = true};
  // Leading dense layers rotate too.
  const Arch cohere2moe = {
      .name = "cohere2moe",
      .rope = RopeStyle::norm,
      .layer = parallel_layer({}, {.dense = {.scales = true},
                                   .has_experts = true,
                                   .experts = {.gating = Gating::key,
                                               .weights_norm = Experts::Norm::key,
                                               .layers = ExpertLayers::after_leading,
                                               .scale_key = true,
                                               .shared = true,
                                               .scales = true,
                                               .default_sigmoid = true,
                                               .sum_factor = 0.5f}}),
      .window = {.period = 4, .first_sees_all = true, .rope_in_windows_only = true},
      .logit_scale = {.key = "logit_scale", .fallback = 0},
      .adjust = [](const Keys& keys, Config& config) {
        const int n_leading = keys.count("leading_dense_block_count", 0, config.n_layers);
        for (int layer = 0; layer < n_leading; ++layer) {
          config.layers[static_cast<size_t>(layer)].has_rope = true;
        }
      }};
  return {command_r, cohere2, cohere2moe};
}

}  // namespace crossval
