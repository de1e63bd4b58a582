// Architectures whose heads are gated before attn_output. Source: llama.cpp src/models/ under the
// names of the rows.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
namespace {

// Laguna rotates windowed layers over as many elements as rope.dimension_count_swa says.
void adjust_laguna(const Keys& keys, Config& config) {
  config.window_rope.n_dims =
      keys.optional_int("rope.dimension_count_swa", config.rope.n_dims, config.head_dim);
  config.window_rope.n_ctx_orig = config.n_ctx_train;
}

}  // namespace

std::vector<Arch> gated_archs() {
  const Attention gated = {.qk_norm = QkNorm::head, .gate = Attention::Gate::sigmoid};
  const Arch afmoe = {
      .name = "afmoe",
      .rope = RopeStyle::neox,
      .layer = both_norms_layer(gated, {.has_experts = true, .experts = kDeepSeekSigmoidExperts}),
      .window = {.period = 4},
      .embedding_by_width = true,
      .no_rope_period = 4};
  const Arch muse = {.name = "muse-glimmer",
                     .rope = RopeStyle::norm,
                     .layer = both_norms_layer(gated, {.dense = {}}),
                     .window = {.period = 4, .rope_in_windows_only = true},
                     .embedding_norm = Arch::EmbeddingNorm::without_weights,
                     .logit_scale = {.key = "logit_scale", .fallback = 0},
                     .final_softcap = 0.0f,
                     .post_norm_eps = 1e-8f};
  const FeedForward geglu = {
      .dense = {.act = Act::gelu, .product_tap = "ffn_geglu", .product_op = "GEGLU"}};
  const Arch spark = {
      .name = "spark2_5",
      .rope = RopeStyle::neox,
      .layer = pre_norm_layer({.gate = Attention::Gate::sigmoid, .gates_heads = true}, geglu),
      .window = {.period = 4, .needs_pattern = true, .rope_base = 10000, .rope_scale_alone = true}};
  const Arch laguna = {
      .name = "laguna",
      .rope = RopeStyle::neox,
      .layer = pre_norm_layer({.qk_norm = QkNorm::head, .gate = Attention::Gate::softplus},
                              {.has_experts = true, .experts = kDeepSeekSigmoidExperts}),
      .window = {.period = 4, .first_sees_all = true, .rope_unscaled = true},
      .adjust = adjust_laguna};
  return {afmoe, muse, spark, laguna};
}

}  // namespace crossval
