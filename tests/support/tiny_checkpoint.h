// A Hugging Face checkpoint for a small GGUF model of Llama's or Qwen 3's names: what the converter
// would have made that GGUF of. Queries and keys of Llama's are turned back here, by hand.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/safetensors.h"

namespace crossval::testing {

struct TinyCheckpointOptions {
  bool is_bf16 = false;    // weights are cut to it; the GGUF must have such values
  bool in_parts = false;   // two files and an index
  bool has_halves = true;  // rows of queries' and keys' heads are in Hugging Face's order (Llama)
  std::string chat_template = {};
  // A last change of what is written.
  std::function<void(nlohmann::json& config, nlohmann::json& tokenizer,
                     std::vector<StoredTensor>& tensors)>
      change = {};
};

// Of a model whose tensors are all F32. `folder` exists.
void write_tiny_checkpoint(const std::string& model, const std::string& folder,
                           const TinyCheckpointOptions& options = {});

}  // namespace crossval::testing
