// Hyperparameters of a model as native understands them, read from GGUF metadata and checked:
// every field a forward pass relies on is positive, consistent and small enough to multiply.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/model_file.h"

namespace crossval {

// Which pairs of a head's elements are rotated together (ggml: NORM pairs 2i, 2i+1; NEOX pairs
// i, i + n_dims/2).
enum class RopeStyle { norm, neox };

// Rotary embedding with linear or YaRN scaling (arXiv:2309.00071), as llama.cpp parametrises it.
struct RopeConfig {
  RopeStyle style = RopeStyle::norm;
  int n_dims = 0;  // elements of a head that are rotated
  float freq_base = 10000.0f;
  float freq_scale = 1.0f;   // 1 / scaling factor
  float ext_factor = 0.0f;   // 1 for YaRN, else 0
  float attn_factor = 1.0f;  // magnitude correction
  float beta_fast = 32.0f, beta_slow = 1.0f;
  int n_ctx_orig = 0;  // context the model was trained on before scaling
};

struct Config {
  std::string arch;
  int n_vocab = 0, n_embd = 0, n_layers = 0, n_ff = 0, n_ctx_train = 0;
  int n_heads = 0, n_kv_heads = 0, head_dim = 0;
  float rms_eps = 0;
  float kq_scale = 0;  // scores are multiplied by it before the softmax
  RopeConfig rope;

  int n_q() const { return n_heads * head_dim; }      // width of all query heads
  int n_kv() const { return n_kv_heads * head_dim; }  // width of all key (or value) heads
};

// Throws bad_input naming the key when one is missing, out of range or inconsistent.
Config read_config(const ModelFile& model, RopeStyle rope_style);

}  // namespace crossval
