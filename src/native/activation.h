// The functions between the matrices of a feed-forward part, and their product with `up`.
#pragma once

#include <cmath>

#include "arch/blocks.h"

namespace crossval {

// gate = act(gate) * up, or act(gate) where `up` is null. With `as_ggml`, gelu is read from a table
// of half floats, as ggml on x86 does to this day; else it is computed.
void activate(Act act, bool as_ggml, const float* up, int n, float* gate);

// gate = beta tanh(gate / beta) sigmoid(gate) * linear_beta tanh(up / linear_beta); a linear_beta
// of 0 leaves `up` as it is.
void situ(float beta, float linear_beta, const float* up, int n, float* gate);

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

// log(1 + e^x). ggml loses what is below a unit of 1 (ggml-impl.h `ggml_compute_softplus_f32`).
float softplus(float x, bool as_ggml);

}  // namespace crossval
