// BitNet b1.58 (arXiv:2402.17764): the Llama layer with ternary matrices and a norm before each
// matrix that ends a branch. Sources: microsoft/BitNet's llama.cpp of Oct 2024 (src/llama.cpp
// `build_bitnet`: silu), ikawrakow/ik_llama.cpp (src/llama.cpp `build_bitnet_158`: squared relu).
#include "arch/archs.h"

namespace crossval {
namespace {

Arch bitnet(std::string_view name, Act act) {
  const Ffn ffn = {.act = act,
                   .scales = true,
                   .sub_norm = Role::ffn_sub_norm,
                   .product_tap = "ffn_sub_out",
                   .product_op = "MUL",
                   .out_tap = "ffn_down"};
  return {.name = name,
          .rope = RopeStyle::neox,
          .layer = pre_norm_layer({.sub_norm = Role::attn_sub_norm}, {.dense = ffn}),
          .tied_output = true,
          .weight_scales = true,
          .f32_beside_f16 = true};
}

}  // namespace

std::vector<Arch> bitnet_archs() {
  return {
      bitnet("bitnet", Act::silu),
      // ik_llama.cpp and newer bitnet.cpp; the official 2B-4T model.
      bitnet("bitnet-25", Act::relu_squared),
      bitnet("bitnet-b1.58", Act::relu_squared),
  };
}

}  // namespace crossval
