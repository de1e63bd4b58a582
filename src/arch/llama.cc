// Llama and its many relatives: pre-norm, grouped-query attention with rotary positions, SwiGLU.
// Source: arXiv:2302.13971; llama.cpp src/models/ under the names of the rows.
#include <utility>

#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

// Rows that differ from Llama by the style of rope, norms or activation alone.
Arch relative(std::string_view name, RopeStyle rope, const Attention& attention = {},
              const Ffn& ffn = {}) {
  return {.name = name, .rope = rope, .layer = pre_norm_layer(attention, {.dense = ffn})};
}

// Baichuan 13B has 40 layers, no rotation and ALiBi in its place; other sizes but 7B (32 layers)
// have neither (llama.cpp src/models/baichuan.cpp).
void adjust_baichuan(const Keys&, Config& config) {
  if (config.n_layers == 32) return;
  for (LayerConfig& layer : config.layers) layer.has_rope = false;
  if (config.n_layers == 40) config.alibi_bias = 8;
}

// RMS norms without biases, ALiBi with 8.
void adjust_refact(const Keys&, Config& config) { config.alibi_bias = 8; }

// With layer norms, or a squared relu.
std::vector<Arch> other_norms() {
  const Ffn relu2 = {.act = Act::relu_squared,
                     .gated = false,
                     .product_tap = "ffn_sqr(relu)",
                     .product_op = "SQR"};
  Arch orion = relative("orion", RopeStyle::neox);
  orion.norm = NormKind::layer;
  orion.biases = {.norms = true};
  Arch nemotron = relative("nemotron", RopeStyle::neox, {}, relu2);
  nemotron.norm = NormKind::layer;
  nemotron.biases = {.norms = true};
  Arch jais2 = relative("jais2", RopeStyle::neox, {}, relu2);
  jais2.norm = NormKind::layer;
  jais2.biases = {.norms = true, .attn_output = true, .ffn = true};
  Arch arcee = relative("arcee", RopeStyle::norm, {}, relu2);
  arcee.rope_factors = true;
  Arch stablelm = relative(
      "stablelm", RopeStyle::neox,
      {.qk_norm = QkNorm::each_head, .qk_norm_optional = true, .qk_norm_kind = NormKind::layer});
  stablelm.norm = NormKind::layer;
  stablelm.biases = {.norms = true};
  stablelm.layer[1].norm_optional = true;
  return {orion, nemotron, jais2, arcee, stablelm};
}

// Whose matrices are stored in other ways.
std::vector<Arch> other_matrices() {
  Arch plamo3 = relative("plamo3", RopeStyle::neox, {.qk_norm = QkNorm::head});
  plamo3.layer = both_norms_layer({.qk_norm = QkNorm::head, .fused = true, .qkv_scale = false},
                                  {.dense = {.fused = true}});
  plamo3.bare_roles = {Role::attn_post_norm, Role::ffn_post_norm};
  plamo3.window = {.period = 8, .rope_base = 10000, .rope_scale_alone = true};
  Arch pangu = relative("pangu-embedded", RopeStyle::neox);
  pangu.biases = {.attn_output = true};
  Arch openelm = relative("openelm", RopeStyle::neox,
                          {.qk_norm = QkNorm::head, .fused = true, .qkv_scale = false});
  openelm.tied_output = true;
  // It rotates as ggml does by default, whatever the file says.
  Arch cogvlm =
      relative("cogvlm", RopeStyle::neox, {.fused = true, .grouped = false, .qkv_scale = false});
  cogvlm.picture_matrices = true;
  cogvlm.adjust = [](const Keys&, Config& config) {
    config.rope = {.style = RopeStyle::neox, .n_dims = config.head_dim};
    config.window_rope = config.rope;
  };
  return {plamo3, pangu, openelm, cogvlm};
}

}  // namespace

std::vector<Arch> llama_archs() {
  const FeedForward mixtral = {
      .dense = {.scales = true}, .has_experts = true, .experts = {.scales = true}};
  Arch llama = relative("llama", RopeStyle::norm);
  llama.layer = pre_norm_layer({}, mixtral);
  llama.rope_factors = true;
  Arch mistral3 = llama;
  mistral3.name = "mistral3";
  Arch refact = relative("refact", RopeStyle::none, {.out_bias = false});
  // llama.cpp loads experts where a file has them, and its graph knows none: no model is so.
  refact.layer[1].block =
      FeedForward{.dense = {.biases = false}, .has_experts = true, .experts = {.left_out = true}};
  refact.adjust = adjust_refact;
  Arch baichuan = relative("baichuan", RopeStyle::norm);
  baichuan.adjust = adjust_baichuan;
  Arch smollm3 = relative("smollm3", RopeStyle::norm);
  smollm3.no_rope_period = 4;
  Arch seed_oss = relative("seed_oss", RopeStyle::neox);
  seed_oss.layer[1].norm = Role::attn_post_norm;
  seed_oss.layer[1].norm_tap = "attn_post_norm";
  Arch deci = relative("deci", RopeStyle::norm);
  deci.rope_factors = true;
  Arch exaone = relative("exaone", RopeStyle::neox);
  exaone.rope_factors = true;
  Arch hunyuan = relative("hunyuan-dense", RopeStyle::neox,
                          {.qk_norm = QkNorm::head, .qk_norm_after_rope = true});
  Arch hunyuan_vl = hunyuan;
  hunyuan_vl.name = "hunyuan_vl";
  hunyuan_vl.adjust = adjust_sections;
  Arch nanbeige = relative("nanbeige", RopeStyle::norm, {}, {.scales = true});
  nanbeige.rope_factors = true;
  Arch llada = relative("llada", RopeStyle::norm, {.out_bias = false}, {.biases = false});
  llada.causal = false;
  std::vector<Arch> all = {
      llama,
      llada,
      mistral3,
      relative("internlm2", RopeStyle::norm),
      relative("xverse", RopeStyle::norm),
      exaone,
      relative("ernie4_5", RopeStyle::norm, {.out_bias = false}),
      relative("maincoder", RopeStyle::norm, {.qk_norm = QkNorm::head, .qk_norm_after_rope = true}),
      hunyuan,
      hunyuan_vl,
      nanbeige,
      {.name = "plamo", .rope = RopeStyle::neox, .layer = parallel_layer({}, {.dense = {}})},
      refact,
      baichuan,
      smollm3,
      seed_oss,
      deci,
  };
  for (const auto more : {other_norms, other_matrices}) {
    for (Arch& arch : more()) all.push_back(std::move(arch));
  }
  return all;
}

}  // namespace crossval
