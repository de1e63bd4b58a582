// Grok-1 and 2: soft caps, scales everywhere, experts and a dense part side by side.
// Source: llama.cpp src/models/grok.cpp, src/llama-graph.cpp `build_attn_mha`.
#include <numbers>

#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {

std::vector<Arch> grok_archs() {
  const Ffn geglu = {.act = Act::gelu, .product_tap = "ffn_geglu", .product_op = "GEGLU"};
  const FeedForward mixture = {
      .dense = geglu,
      .has_experts = true,
      .experts = {
          .act = Act::gelu, .dense_beside = true, .sum_factor = std::numbers::sqrt2_v<float> / 2}};
  Arch grok = {.name = "grok",
               .rope = RopeStyle::neox,
               .layer = both_norms_layer({}, mixture),
               .embedding_scale = {.key = "embedding_scale", .fallback = 78.38367176906169f},
               .logit_scale = {.key = "logit_scale", .fallback = 0.5773502691896257f},
               .attn_softcap = 30.0f,
               .final_softcap = 0.0f,
               // Before the cap, and 1 in the softmax.
               .scaled_queries = true,
               // Scores are scaled by this instead of the root of a head's length.
               .adjust = [](const Keys& keys, Config& config) {
                 config.kq_scale =
                     keys.optional_float("attention.output_scale", 0.08838834764831845f);
               }};
  grok.layer[0].post_norm = Role::attn_out_norm;
  grok.layer[0].post_tap = "attn_out_norm";
  grok.layer[1].post_norm = Role::layer_out_norm;
  grok.layer[1].post_norm_instead = Role::ffn_post_norm;
  return {grok};
}

}  // namespace crossval
