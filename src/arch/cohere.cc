// Command R and its successors: one layer norm without bias, both blocks in parallel behind it,
// logits scaled. Source: llama.cpp src/models/command-r.cpp, cohere2.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> cohere_archs() {
  const Arch command_r = {
      .name = "command-r",
      .rope = RopeStyle::norm,
      .norm = NormKind::layer,
      .layer = parallel_layer(
          {.qk_norm = QkNorm::each_head, .qk_norm_optional = true, .qk_norm_kind = NormKind::layer},
          {.dense = {}}),
      .logit_scale = {.key = "logit_scale", .fallback = 0}};
  const Arch cohere2 = {.name = "cohere2",
                        .rope = RopeStyle::norm,
                        .norm = NormKind::layer,
                        .layer = parallel_layer({}, {.dense = {.scales = true}}),
                        .window = {.period = 4, .rope_in_windows_only = true},
                        .logit_scale = {.key = "logit_scale", .fallback = 0},
                        .rope_factors = true};
  return {command_r, cohere2};
}

}  // namespace crossval
