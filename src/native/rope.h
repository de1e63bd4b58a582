// Rotary position embedding: the angles of a batch, and the rotation of one head.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/config.h"
#include "native/weights.h"

namespace crossval {

// cos and sin for every token and pair: [n_tokens, n_dims / 2] each.
struct RopeTable {
  int n_pairs = 0;
  std::vector<float> cos, sin;
};

// Angles in f32 by ggml's own recurrence (theta *= base^(-2/n_dims) per pair; ggml-cpu/ops.cpp
// `ggml_rope_cache_init`): at position 2,000 another way of rounding them already moves logits by
// more than a faithful engine differs, so the recurrence is part of the model's definition here.
// `freq_factors` divides the angle of each pair (null = none).
RopeTable make_rope_table(const RopeConfig& rope, const VectorWeight* freq_factors,
                          int first_position, int n_tokens);

// Rotates the first n_dims elements of one head in place.
void rotate_head(const RopeTable& table, RopeStyle style, int64_t token, float* head);

}  // namespace crossval
