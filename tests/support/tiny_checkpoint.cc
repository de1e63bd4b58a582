#include "support/tiny_checkpoint.h"

#include <cstring>
#include <map>
#include <stdexcept>

#include "base/half.h"
#include "gguf/model_file.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

using nlohmann::json;

std::string layer_name(const std::string& rest) {
  static const std::map<std::string, std::string> names = {
      {"attn_norm.weight", "input_layernorm.weight"},
      {"attn_q.weight", "self_attn.q_proj.weight"},
      {"attn_k.weight", "self_attn.k_proj.weight"},
      {"attn_v.weight", "self_attn.v_proj.weight"},
      {"attn_q.bias", "self_attn.q_proj.bias"},
      {"attn_output.weight", "self_attn.o_proj.weight"},
      {"attn_q_norm.weight", "self_attn.q_norm.weight"},
      {"attn_k_norm.weight", "self_attn.k_norm.weight"},
      {"ffn_norm.weight", "post_attention_layernorm.weight"},
      {"ffn_gate.weight", "mlp.gate_proj.weight"},
      {"ffn_up.weight", "mlp.up_proj.weight"},
      {"ffn_down.weight", "mlp.down_proj.weight"},
      {"ffn_gate_inp.weight", "mlp.gate.weight"},
      {"ffn_gate_exps.weight", "mlp.experts.*.gate_proj.weight"},
      {"ffn_up_exps.weight", "mlp.experts.*.up_proj.weight"},
      {"ffn_down_exps.weight", "mlp.experts.*.down_proj.weight"},
  };
  const auto found = names.find(rest);
  if (found == names.end()) throw std::runtime_error("no name for " + rest);
  return found->second;
}

std::string checkpoint_name(const std::string& name) {
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output.weight") return "lm_head.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  const size_t dot = name.find('.', 4);
  return "model.layers." + name.substr(4, dot - 4) + "." + layer_name(name.substr(dot + 1));
}

// The file's row 2 i + j of a head is the checkpoint's row j d/2 + i.
std::vector<float> with_halves(const std::vector<float>& rows, int64_t n_heads, int64_t row_len) {
  std::vector<float> out(rows.size());
  const int64_t head = static_cast<int64_t>(rows.size()) / row_len / n_heads;
  for (int64_t h = 0; h < n_heads; ++h) {
    for (int64_t i = 0; i < head / 2; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        std::memcpy(&out[static_cast<size_t>((h * head + j * head / 2 + i) * row_len)],
                    &rows[static_cast<size_t>((h * head + 2 * i + j) * row_len)],
                    static_cast<size_t>(row_len) * sizeof(float));
      }
    }
  }
  return out;
}

class Writer {
 public:
  Writer(const ModelFile& model, const TinyCheckpointOptions& options)
      : model_(model), options_(options), arch_(model.architecture()) {}

  void write(const std::string& folder) {
    for (const TensorView& tensor : model_.tensors()) add(tensor);
    json config = config_json(), tokenizer = tokenizer_json();
    if (options_.change) options_.change(config, tokenizer, tensors_);
    write_text(folder + "/config.json", config.dump());
    write_text(folder + "/tokenizer.json", tokenizer.dump());
    json settings = json::object();
    if (!options_.chat_template.empty()) settings["chat_template"] = options_.chat_template;
    write_text(folder + "/tokenizer_config.json", settings.dump());
    if (!options_.in_parts) {
      write_text(folder + "/model.safetensors", safetensors(tensors_));
      return;
    }
    const size_t half = tensors_.size() / 2;
    const std::vector<StoredTensor> parts[] = {
        {tensors_.begin(), tensors_.begin() + static_cast<ptrdiff_t>(half)},
        {tensors_.begin() + static_cast<ptrdiff_t>(half), tensors_.end()}};
    json map = json::object();
    for (int i = 0; i < 2; ++i) {
      const std::string name = "model-" + std::to_string(i) + ".safetensors";
      for (const StoredTensor& tensor : parts[i]) map[tensor.name] = name;
      write_text(folder + "/" + name, safetensors(parts[i]));
    }
    write_text(folder + "/model.safetensors.index.json", json{{"weight_map", map}}.dump());
  }

 private:
  int64_t key(const char* name) const { return *model_.get_int(arch_ + "." + name); }

  void add(const TensorView& tensor) {
    std::vector<float> values(static_cast<size_t>(tensor.n_elements()));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    const bool is_query = tensor.name.find("attn_q.") != std::string::npos;
    if (options_.has_halves && (is_query || tensor.name.find("attn_k.") != std::string::npos)) {
      const int64_t n_heads = key(is_query ? "attention.head_count" : "attention.head_count_kv");
      values = with_halves(values, n_heads, tensor.shape.size() > 1 ? tensor.shape[0] : 1);
    }
    const std::string name = checkpoint_name(tensor.name);
    std::vector<int64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
    const size_t star = name.find('*');
    if (star == std::string::npos) return store(name, shape, values);
    const int64_t n_experts = shape.front();
    shape.erase(shape.begin());
    const size_t n = values.size() / static_cast<size_t>(n_experts);
    for (int64_t i = 0; i < n_experts; ++i) {
      std::string own = name;
      own.replace(star, 1, std::to_string(i));
      const auto begin = values.begin() + static_cast<ptrdiff_t>(n) * i;
      store(own, shape, {begin, begin + static_cast<ptrdiff_t>(n)});
    }
  }

  void store(const std::string& name, const std::vector<int64_t>& shape,
             const std::vector<float>& values) {
    std::string bytes;
    for (const float value : values) {
      const uint16_t cut = f32_to_bf16(value);
      bytes.append(options_.is_bf16 ? reinterpret_cast<const char*>(&cut)
                                    : reinterpret_cast<const char*>(&value),
                   options_.is_bf16 ? 2 : 4);
    }
    tensors_.push_back({name, options_.is_bf16 ? "BF16" : "F32", shape, bytes});
  }

  json config_json() const {
    json config = {{"model_type", "tiny"},
                   {"hidden_size", key("embedding_length")},
                   {"intermediate_size", key("feed_forward_length")},
                   {"num_hidden_layers", key("block_count")},
                   {"num_attention_heads", key("attention.head_count")},
                   {"num_key_value_heads", key("attention.head_count_kv")},
                   {"max_position_embeddings", key("context_length")},
                   {"rms_norm_eps", *model_.get_float(arch_ + ".attention.layer_norm_rms_epsilon")},
                   {"tie_word_embeddings", model_.find_tensor("output.weight") == nullptr}};
    if (const auto base = model_.get_float(arch_ + ".rope.freq_base")) {
      config["rope_theta"] = *base;
    }
    if (const auto length = model_.get_int(arch_ + ".attention.key_length")) {
      config["head_dim"] = *length;
    }
    for (const char* id : {"bos_token_id", "eos_token_id"}) {
      const auto held = model_.get_int(std::string("tokenizer.ggml.") + id);
      if (held) config[id] = *held;
    }
    return config;
  }

  json tokenizer_json() const {
    const auto& tokens =
        std::get<MetaValue::StringArray>(model_.metadata().at("tokenizer.ggml.tokens").value);
    const auto& types =
        std::get<std::vector<int64_t>>(model_.metadata().at("tokenizer.ggml.token_type").value);
    json vocab = json::object(), added = json::array(), merges = json::array();
    for (size_t id = 0; id < tokens.size(); ++id) {
      const std::string text(tokens[id]);
      if (types[id] == 3 || types[id] == 4) {
        added.push_back({{"id", id}, {"content", text}, {"special", types[id] == 3}});
      } else {
        vocab[text] = id;
      }
    }
    if (const MetaValue* held = model_.find("tokenizer.ggml.merges")) {
      for (const std::string_view merge : std::get<MetaValue::StringArray>(held->value)) {
        merges.push_back(std::string(merge));
      }
    }
    return {{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}},
            {"added_tokens", added}};
  }

  const ModelFile& model_;
  const TinyCheckpointOptions& options_;
  std::string arch_;
  std::vector<StoredTensor> tensors_;
};

}  // namespace

void write_tiny_checkpoint(const std::string& model, const std::string& folder,
                           const TinyCheckpointOptions& options) {
  Writer(*ModelFile::open(model), options).write(folder);
}

}  // namespace crossval::testing
