#include "faults/model_info.h"

#include <algorithm>
#include <array>

namespace crossval::testing {

std::string blk(int layer, const std::string& name) {
  return "blk." + std::to_string(layer) + "." + name + ".weight";
}

ModelInfo::ModelInfo(const ModelEdit& model) {
  const ModelFile& file = model.original();
  arch = file.architecture();
  const auto count = [&](const char* name, int64_t fallback) {
    return static_cast<int>(file.get_int(key(name)).value_or(fallback));
  };
  n_layers = count("block_count", 0);
  n_embd = count("embedding_length", 0);
  n_ff = count("feed_forward_length", 0);
  n_heads = count("attention.head_count", 1);
  n_kv_heads = count("attention.head_count_kv", n_heads);
  head_dim = count("attention.key_length", n_embd / n_heads);
  matrix_type = model.type(blk(0, "attn_q"));
  is_float = find_type(matrix_type)->block_len == 1;
  tied = !model.has("output.weight");
  is_dense = model.has(blk(0, "ffn_gate"));
  const std::array<const char*, 4> known = {"llama", "bitnet", "bitnet-25", "bitnet-b1.58"};
  native_knows = is_dense && std::ranges::find(known, arch) != known.end();
  neox = arch != "llama" && arch != "granite";
  is_bpe = file.get_string("tokenizer.ggml.model") == "gpt2";
}

}  // namespace crossval::testing
