// GPT-2 and what came of it: layer norms with biases, gelu; positions learnt, by ALiBi
// (arXiv:2108.12409) or rotated. Source: llama.cpp src/models/ under the names of the rows.
#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

const Ffn kGelu = {
    .act = Act::gelu, .gated = false, .product_tap = "ffn_gelu", .product_op = "GELU"};

Arch gpt(std::string_view name, RopeStyle rope, const Attention& attention = {}) {
  return {.name = name,
          .rope = rope,
          .norm = NormKind::layer,
          .biases = {.norms = true, .qkv = true, .attn_output = true, .ffn = true},
          .layer = pre_norm_layer(attention, {.dense = kGelu})};
}

}  // namespace

std::vector<Arch> gpt_archs() {
  Arch gpt2 = gpt("gpt2", RopeStyle::none, {.fused = true});
  gpt2.position_embedding = Arch::PositionEmbedding::always;
  Arch starcoder = gpt2;
  starcoder.name = "starcoder";
  Arch mpt = gpt("mpt", RopeStyle::none,
                 {.qk_norm = QkNorm::row,
                  .qk_norm_optional = true,
                  .qk_norm_kind = NormKind::layer,
                  .fused = true,
                  .grouped = false});
  std::get<FeedForward>(mpt.layer[1].block).dense.act_scales = true;
  mpt.biases = {};
  mpt.position_embedding = Arch::PositionEmbedding::if_present;
  mpt.alibi_key = true;
  mpt.clamp_key = true;
  Arch bloom = gpt("bloom", RopeStyle::none, {.fused = true});
  bloom.embedding_norm = Arch::EmbeddingNorm::with_weights;
  bloom.adjust = [](const Keys&, Config& config) { config.alibi_bias = 8; };
  Arch gptneox = gpt("gptneox", RopeStyle::neox, {.fused = true});
  gptneox.parallel_key = true;
  Arch pockettts = gpt("pockettts", RopeStyle::norm);
  pockettts.biases = {.norms = true};
  pockettts.tied_output = true;
  // Scores over the length of a head, not its root.
  Arch jais = {.name = "jais",
               .rope = RopeStyle::none,
               .norm = NormKind::layer,
               .biases = {.norms = true, .qkv = true, .attn_output = true, .ffn = true},
               .layer = pre_norm_layer({.fused = true}, {.dense = {}}),
               .alibi_key = true,
               .adjust = [](const Keys&, Config& config) {
                 config.kq_scale = 1.0f / static_cast<float>(config.head_dim);
               }};
  return {gpt2,
          starcoder,
          mpt,
          bloom,
          gptneox,
          jais,
          gpt("codeshell", RopeStyle::neox),
          pockettts,
          gpt("starcoder2", RopeStyle::neox)};
}

}  // namespace crossval
