// A model's weights by role, bound to the tensors of the file by name with their shapes checked.
// Which roles a layer has is said by its architecture's table of WeightSpec rows.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/model_file.h"
#include "native/config.h"
#include "quant/matmul.h"

namespace crossval {

// A one-dimensional weight in f32 (norms, biases); empty when the model has none.
using VectorWeight = std::vector<float>;

struct LayerWeights {
  VectorWeight attn_norm, ffn_norm;
  WeightView attn_q, attn_k, attn_v, attn_output;
  VectorWeight attn_q_bias, attn_k_bias, attn_v_bias, attn_output_bias;
  WeightView ffn_gate, ffn_up, ffn_down;
  VectorWeight ffn_gate_bias, ffn_up_bias, ffn_down_bias;
  VectorWeight attn_sub_norm, ffn_sub_norm;  // norms before attn_output and ffn_down
  VectorWeight attn_q_scale, attn_k_scale, attn_v_scale, attn_output_scale;  // one element each
  VectorWeight ffn_gate_scale, ffn_up_scale, ffn_down_scale;
};

// What a layer needs: "blk.N.<name>" with this shape. Exactly one of matrix and vector is set.
struct WeightSpec {
  std::string_view name;
  WeightView LayerWeights::*matrix;
  VectorWeight LayerWeights::*vector;
  int64_t (*row_len)(const Config&);  // ne0
  int64_t (*n_rows)(const Config&);   // ne1; null for a vector
  bool required;
};

struct Weights {
  WeightView token_embd;  // [n_vocab, n_embd]
  WeightView output;      // the same as token_embd when tied
  VectorWeight output_norm;
  VectorWeight rope_freqs;  // factors the angles are divided by; empty = none
  std::vector<LayerWeights> layers;
};

// Binds every weight; sets config.n_vocab. Throws bad_input naming the tensor that is missing or
// has another shape or type than expected.
Weights bind_weights(const ModelFile& model, std::span<const WeightSpec> layer_specs,
                     Config& config);

}  // namespace crossval
