// Gemma (arXiv:2403.08295), 2 (arXiv:2408.00118) and 3 (arXiv:2503.19786): embeddings times
// sqrt(width), gelu, scaled queries; then norms on both sides, soft caps, windows.
// Source: llama.cpp src/models/gemma.cpp, gemma2.cpp, gemma3.cpp.
#include <cmath>

#include "arch/archs.h"
#include "arch/config.h"

namespace crossval {
namespace {

// The 27B models scale by their width per head, which is not the length of their heads.
void scale_by_width(Config& config, int n_layers_27b) {
  if (config.n_layers != n_layers_27b) return;
  const int width = config.n_embd / config.n_heads;
  config.kq_scale = 1.0f / std::sqrt(static_cast<float>(width));
}

}  // namespace

std::vector<Arch> gemma_archs() {
  const FeedForward geglu = {
      .dense = {.act = Act::gelu, .product_tap = "ffn_geglu", .product_op = "GEGLU"}};
  Arch gemma = {.name = "gemma",
                .rope = RopeStyle::neox,
                .layer = pre_norm_layer({}, geglu),
                .embedding_by_width = true,
                .scaled_queries = true,
                .tied_output = true};
  gemma.layer[0].sum_tap = "sa_out";
  Arch gemma2 = {.name = "gemma2",
                 .rope = RopeStyle::neox,
                 .layer = both_norms_layer({}, geglu),
                 .window = {.period = 2, .default_len = 4096},
                 .embedding_by_width = true,
                 .attn_softcap = 50.0f,
                 .final_softcap = 30.0f,
                 .scaled_queries = true,
                 .tied_output = true,
                 .adjust = [](const Keys&, Config& config) { scale_by_width(config, 46); }};
  gemma2.layer[0].sum_tap = "sa_out";
  Arch gemma3 = {.name = "gemma3",
                 .rope = RopeStyle::neox,
                 .layer = both_norms_layer({.qk_norm = QkNorm::head}, geglu),
                 .window = {.period = 6, .rope_base = 10000, .rope_scale_alone = true},
                 .embedding_by_width = true,
                 .final_softcap = 0.0f,
                 .scaled_queries = true,
                 .adjust = [](const Keys&, Config& config) { scale_by_width(config, 62); }};
  gemma3.layer[0].sum_tap = "sa_out";
  return {gemma, gemma2, gemma3};
}

}  // namespace crossval
