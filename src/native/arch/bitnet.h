// BitNet b1.58 (arXiv:2402.17764): the Llama layer with ternary matrices and a norm before each
// matrix that ends a branch. Sources: microsoft/BitNet's llama.cpp of Oct 2024 (src/llama.cpp
// `build_bitnet`: silu), ikawrakow/ik_llama.cpp (src/llama.cpp `build_bitnet_158`: squared relu).
#pragma once

#include <span>
#include <string_view>

#include "native/forward.h"
#include "native/weights.h"

namespace crossval {

std::span<const WeightSpec> bitnet_layer_weights();
std::span<const std::string_view> bitnet_unsupported_keys();
void bitnet_silu_layer(ForwardPass& pass, const LayerWeights& weights);
void bitnet_relu2_layer(ForwardPass& pass, const LayerWeights& weights);

}  // namespace crossval
