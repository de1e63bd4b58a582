// Talkie: norms without weights, of queries and keys behind the rotation too, and in every layer
// the embedding once more. Source: llama.cpp src/models/talkie.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> plain_norm_archs() {
  return {{.name = "talkie",
           .rope = RopeStyle::neox,
           .norm_weights = false,
           .layer = pre_norm_layer({.qk_norm = QkNorm::query_gain, .qk_norm_after_rope = true},
                                   {.dense = {.down_scale = true}}),
           .embedding_norm = Arch::EmbeddingNorm::without_weights,
           .logit_scale = {.key = "logit_scale"},
           .embedding_skip = true}};
}

}  // namespace crossval
