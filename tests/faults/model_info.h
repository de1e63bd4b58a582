// What the fault generator has to know of a model to damage it: read from the file itself, so that
// the same faults apply to generated models and to real ones.
#pragma once

#include <cstdint>
#include <string>

#include "support/model_edit.h"

namespace crossval::testing {

struct ModelInfo {
  explicit ModelInfo(const ModelEdit& model);

  std::string arch;
  int n_layers = 0, n_embd = 0, n_ff = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0;
  GgmlType matrix_type;       // of blk.0.attn_q.weight
  bool is_float = false;      // F32, F16 or BF16 matrices
  bool native_knows = false;  // else only the backend does
  bool tied = false;          // no output.weight
  bool neox = false;          // RoPE pairs i and i + n / 2 of a head, not 2 i and 2 i + 1
  bool is_dense = false;      // one feed-forward network, not several experts
  bool is_bpe = false;        // tokenizer.ggml.model gpt2

  std::string key(const std::string& name) const { return arch + "." + name; }
};

// "blk.3.attn_q.weight"
std::string blk(int layer, const std::string& name);

}  // namespace crossval::testing
