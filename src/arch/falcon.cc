// Falcon (arXiv:2311.16867): one matrix for queries, keys and values, blocks in parallel; 40B has a
// norm of its own for attention. Source: llama.cpp src/models/falcon.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> falcon_archs() {
  const Ffn gelu = {
      .act = Act::gelu, .gated = false, .product_tap = "ffn_gelu", .product_op = "GELU"};
  Arch falcon = {.name = "falcon",
                 .rope = RopeStyle::neox,
                 .norm = NormKind::layer,
                 .biases = {.norms = true},
                 .layer = parallel_layer({.fused = true}, {.dense = gelu})};
  falcon.layer[0].norm = Role::attn_norm_2;
  falcon.layer[0].norm_optional = true;
  falcon.layer[0].norm_instead = Role::attn_norm;
  falcon.layer[0].norm_tap = "attn_norm_2";
  falcon.layer[1].norm_tap = "attn_norm";
  return {falcon};
}

}  // namespace crossval
