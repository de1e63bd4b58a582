// Talkie: norms without weights, of queries and keys behind the rotation too, and in every layer
// the embedding once more; HRM (arXiv:2506.21734), without weights too: two stacks that take turns.
// Source: llama.cpp src/models/talkie.cpp, hrm-text.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> plain_norm_archs() {
  Arch hrm = {.name = "hrm_text",
              .rope = RopeStyle::neox,
              .norm_weights = false,
              .layer = pre_norm_layer({.gate = Attention::Gate::sigmoid}, {.dense = {}}),
              .embedding_scale = {.key = "embedding_scale", .fallback = 0},
              .cycles = true};
  hrm.layer[0].sum_tap = "attn_add";
  return {hrm,
          {.name = "talkie",
           .rope = RopeStyle::neox,
           .norm_weights = false,
           .layer = pre_norm_layer({.qk_norm = QkNorm::query_gain, .qk_norm_after_rope = true},
                                   {.dense = {.down_scale = true}}),
           .embedding_norm = Arch::EmbeddingNorm::without_weights,
           .logit_scale = {.key = "logit_scale"},
           .embedding_skip = true}};
}

}  // namespace crossval
