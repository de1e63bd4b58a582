// Llama and its many relatives (GGUF architecture "llama"): pre-norm, grouped-query attention with
// rotary positions, SwiGLU; optional biases. Source: arXiv:2302.13971, llama.cpp
// src/models/llama.cpp.
#pragma once

#include <span>
#include <string_view>

#include "native/forward.h"
#include "native/weights.h"

namespace crossval {

std::span<const WeightSpec> llama_layer_weights();
std::span<const std::string_view> llama_unsupported_keys();
void llama_layer(ForwardPass& pass, const LayerWeights& weights);

}  // namespace crossval
