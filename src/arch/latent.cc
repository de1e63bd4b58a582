// Multi-head latent attention: DeepSeek V2 and V3 (arXiv:2405.04434, arXiv:2412.19437), and models
// that took their attention over.
// Source: llama.cpp src/models/ under the names of the rows.
#include <cmath>

#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"
#include "arch/hyper.h"

namespace crossval {
namespace {

// Files of GLM-4.7 Flash do not say that its experts are gated by sigmoids.
void adjust_deepseek2(const Keys& keys, Config& config) {
  if (keys.count("expert_gating_func", 0, 100) != 0) return;
  const MetaValue* value = keys.model().find("tokenizer.ggml.tokens");
  const auto* tokens =
      value == nullptr ? nullptr : std::get_if<MetaValue::StringArray>(&value->value);
  const auto n_tokens = tokens == nullptr ? 0 : static_cast<int>(tokens->size());
  const bool is_glm = (config.n_layers == 47 || config.n_layers == 48) &&
                      keys.count("vocab_size", n_tokens, INT32_MAX) == 154880;
  if (is_glm) config.experts.gating = Gating::sigmoid;
}

// Files of GLM 5.2 need not say which of its layers have an indexer: glm-dsa.cpp.
void adjust_glm_dsa(const Keys& keys, Config& config) {
  if (config.n_ctx_train < 1048576 || keys.has("attention.indexer.types")) return;
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    config.layers[layer].has_indexer = layer < 2 || (layer % 4 == 2 && layer < 78);
  }
}

void adjust_minicpm3(const Keys&, Config& config) {
  config.embedding_scale = 12;
  config.residual_scale = 1.4f / std::sqrt(static_cast<float>(config.n_layers));
  config.logit_scale = 256.0f / static_cast<float>(config.n_embd);
}

}  // namespace

std::vector<Arch> latent_archs() {
  Arch deepseek2 = {.name = "deepseek2",
                    .rope = RopeStyle::norm,
                    .layer = pre_norm_layer(LatentAttention{.temperature = true},
                                            {.has_experts = true, .experts = kDeepSeekExperts}),
                    .yarn_log = Arch::YarnLog::both,
                    .adjust = adjust_deepseek2};
  Arch mistral4 = deepseek2;
  mistral4.name = "mistral4";
  mistral4.yarn_log = Arch::YarnLog::scores;
  Experts scaled = kDeepSeekExperts;
  scaled.scales = true;
  const FeedForward scaled_ffn = {
      .dense = {.scales = true}, .has_experts = true, .experts = scaled};
  const Indexer neox_indexer = {
      .kind = Indexer::Kind::positions, .rope = RopeStyle::neox, .norm_eps = 1e-6f};
  Indexer typed_indexer = neox_indexer;
  typed_indexer.types_key = true;
  const Arch deepseek32 = {
      .name = "deepseek32",
      .rope = RopeStyle::norm,
      .layer = pre_norm_layer(LatentAttention{.indexer = neox_indexer}, scaled_ffn),
      .yarn_log = Arch::YarnLog::scores};
  Arch glm_dsa = deepseek32;
  std::get<LatentAttention>(glm_dsa.layer[0].block).indexer = {
      .kind = Indexer::Kind::positions, .norm_eps = 0.0f, .types_key = true};
  glm_dsa.adjust = adjust_glm_dsa;
  glm_dsa.name = "glm-dsa";
  glm_dsa.yarn_log = Arch::YarnLog::none;
  std::get<FeedForward>(glm_dsa.layer[1].block).experts.default_sigmoid = true;
  const Arch dots3note = {
      .name = "dots3note",
      .rope = RopeStyle::norm,
      .layer = pre_norm_layer(LatentAttention{.own_window_lengths = true,
                                              .key_norm = true,
                                              .gate = LatentAttention::Gate::head,
                                              .yarn_scores = false,
                                              .indexer = typed_indexer},
                              scaled_ffn),
      .window = {.period = 1}};
  Arch hy_v4 = {
      .name = "hy_v4",
      .rope = RopeStyle::norm,
      .layer = pre_norm_layer(LatentAttention{.sinks = true,
                                              .gate = LatentAttention::Gate::element,
                                              .out_scale = false,
                                              .yarn_scores = false,
                                              .indexer = {.kind = Indexer::Kind::positions,
                                                          .rotates_end = true,
                                                          .types_key = true}},
                              {.has_experts = true, .experts = kDeepSeekExperts}),
      .hyper = Arch::Hyper::sums};
  std::get<FeedForward>(hy_v4.layer[1].block).experts.clamp_key = true;
  set_hyper_roles(hy_v4.layer);
  hy_v4.layer[0].sum_tap = "hc_attn_out";
  const LatentAttention minicpm = {.absorbs = false,
                                   .yarn_scores = false,
                                   .row_tap = "kv_pe_compresseed",
                                   .latent_tap = "kv_compressed",
                                   .query_tap = "q_rope",
                                   .key_tap = "k_states"};
  LatentAttention plm = minicpm;
  plm.q_row = false;
  const Ffn relu2 = {.act = Act::relu_squared,
                     .gated = false,
                     .product_tap = "ffn_sqr(relu)",
                     .product_op = "SQR"};
  return {deepseek2,
          mistral4,
          deepseek32,
          glm_dsa,
          dots3note,
          hy_v4,
          {.name = "minicpm3",
           .rope = RopeStyle::neox,
           .layer = pre_norm_layer(minicpm, {}),
           .rope_factors = true,
           .adjust = adjust_minicpm3},
          {.name = "plm",
           .rope = RopeStyle::norm,
           .layer = pre_norm_layer(plm, {.dense = relu2}),
           .tied_output = true}};
}

}  // namespace crossval
