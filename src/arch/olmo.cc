// OLMo (arXiv:2402.00838: norms without weights), OLMo 2 (arXiv:2501.00656: norms behind the
// blocks), OLMoE (arXiv:2409.02060), EXAONE 4. Source: llama.cpp src/models/olmo*.cpp, exaone4.cpp.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {

std::vector<Arch> olmo_archs() {
  const Arch olmo = {.name = "olmo",
                     .rope = RopeStyle::norm,
                     .norm = NormKind::layer,
                     .norm_weights = false,
                     .layer = pre_norm_layer({}, {.dense = {}}),
                     .clamp_key = true};
  const Arch olmo2 = {.name = "olmo2",
                      .rope = RopeStyle::neox,
                      .layer = post_norm_layer({.qk_norm = QkNorm::row}, {.dense = {}}),
                      .window = {.period = 4, .rope_unscaled = true}};
  const Arch olmoe = {.name = "olmoe",
                      .rope = RopeStyle::neox,
                      .layer = pre_norm_layer(
                          {.qk_norm = QkNorm::row, .grouped = false},
                          {.has_experts = true, .experts = {.weights_norm = Experts::Norm::no}})};
  // 32B (64 layers) has windows, and rotates in those alone.
  const Arch exaone4 = {.name = "exaone4",
                        .rope = RopeStyle::neox,
                        .layer = post_norm_layer({.qk_norm = QkNorm::head}, {.dense = {}}),
                        .window = {.period = 4,
                                   .default_len = 4096,
                                   .only_with_n_layers = 64,
                                   .rope_in_windows_only = true},
                        .rope_factors = true};
  return {olmo, olmo2, olmoe, exaone4};
}

}  // namespace crossval
