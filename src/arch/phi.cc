// Phi-2 (blocks in parallel behind one norm), Phi-3 (gate and up in one matrix) and PhiMoE.
// Source: llama.cpp src/models/phi2.cpp, phi3.cpp, phimoe.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> phi_archs() {
  const Ffn gelu = {
      .act = Act::gelu, .gated = false, .product_tap = "ffn_gelu", .product_op = "GELU"};
  const Arch phi2 = {.name = "phi2",
                     .rope = RopeStyle::neox,
                     .norm = NormKind::layer,
                     .biases = {.norms = true, .attn_output = true, .ffn = true, .output = true},
                     .layer = parallel_layer({}, {.dense = gelu}),
                     .scaled_queries = true};
  Arch phi3 = {.name = "phi3",
               .rope = RopeStyle::neox,
               .layer = pre_norm_layer({}, {.dense = {.fused = true}}),
               .scaled_queries = true};
  Arch phimoe = {.name = "phimoe",
                 .rope = RopeStyle::neox,
                 .biases = {.norms = true, .attn_output = true, .output = true},
                 .layer = pre_norm_layer({}, {.has_experts = true}),
                 .scaled_queries = true};
  for (Arch* arch : {&phi3, &phimoe}) {
    arch->layer[0].sum_tap = nullptr;
    arch->rope_factors = true;
  }
  return {phi2, phi3, phimoe};
}

}  // namespace crossval
