#include "support/tiny_model.h"

#include <cmath>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "gguf/writer.h"
#include "support/quantize.h"
#include "support/random.h"
#include "support/tiny_vocabulary.h"

namespace crossval::testing {
namespace {

class Builder {
 public:
  explicit Builder(const TinyModelOptions& options) : o_(options), random_(options.seed) {}

  void write(const std::string& path) {
    hyperparameters();
    const int n_vocab = set_tiny_vocabulary(out_, o_.vocabulary, o_.add_bos);
    out_.set_u32(o_.architecture + ".vocab_size", static_cast<uint32_t>(n_vocab));
    const int head_dim = o_.n_embd / o_.n_heads;
    const int n_kv = head_dim * o_.n_kv_heads;
    const float usual = 1.0f / std::sqrt(static_cast<float>(o_.n_embd));
    // Small embeddings, as in real models: there the epsilon of the first norms matters.
    matrix("token_embd", o_.n_embd, n_vocab, 0.05f, o_.embedding_type);
    for (int layer = 0; layer < o_.n_layers; ++layer) {
      const std::string blk = "blk." + std::to_string(layer) + ".";
      norm(blk + "attn_norm");
      matrix(blk + "attn_q", o_.n_embd, o_.n_embd, o_.qk_gain * usual, o_.matrix_type);
      matrix(blk + "attn_k", o_.n_embd, n_kv, o_.qk_gain * usual, o_.matrix_type);
      matrix(blk + "attn_v", o_.n_embd, n_kv, usual, o_.matrix_type);
      if (is_bitnet()) norm(blk + "attn_sub_norm");
      matrix(blk + "attn_output", o_.n_embd, o_.n_embd, usual, o_.matrix_type);
      norm(blk + "ffn_norm");
      matrix(blk + "ffn_gate", o_.n_embd, o_.n_ff, usual, o_.matrix_type);
      matrix(blk + "ffn_up", o_.n_embd, o_.n_ff, usual, o_.matrix_type);
      if (is_bitnet()) norm(blk + "ffn_sub_norm", o_.n_ff);
      matrix(blk + "ffn_down", o_.n_ff, o_.n_embd, 1.0f / std::sqrt(static_cast<float>(o_.n_ff)),
             o_.matrix_type);
    }
    norm("output_norm");
    if (!o_.tied_output) matrix("output", o_.n_embd, n_vocab, 3.0f * usual, o_.output_type);
    out_.write(path);
  }

 private:
  bool is_bitnet() const { return o_.architecture.starts_with("bitnet"); }

  void hyperparameters() {
    if (o_.n_embd % o_.n_heads != 0 || o_.n_heads % o_.n_kv_heads != 0) {
      throw std::runtime_error("heads do not divide the width");
    }
    const auto u32 = [this](const std::string& key, int value) {
      out_.set_u32(o_.architecture + "." + key, static_cast<uint32_t>(value));
    };
    out_.set_string("general.architecture", o_.architecture);
    out_.set_string("general.name", "crossval tiny random model");
    u32("block_count", o_.n_layers);
    u32("context_length", o_.n_ctx);
    u32("embedding_length", o_.n_embd);
    u32("feed_forward_length", o_.n_ff);
    u32("attention.head_count", o_.n_heads);
    u32("attention.head_count_kv", o_.n_kv_heads);
    u32("rope.dimension_count", o_.n_embd / o_.n_heads);
    out_.set_f32(o_.architecture + ".rope.freq_base", o_.rope_freq_base);
    out_.set_f32(o_.architecture + ".attention.layer_norm_rms_epsilon", o_.rms_eps);
  }

  void matrix(const std::string& name, int64_t row_len, int64_t n_rows, float deviation,
              GgmlType type) {
    std::vector<float> values(static_cast<size_t>(row_len * n_rows));
    for (float& value : values) value = deviation * random_.normal();
    add(name, type, {row_len, n_rows}, values);
  }

  void norm(const std::string& name) { norm(name, o_.n_embd); }

  void norm(const std::string& name, int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& value : values) value = 1.0f + 0.1f * random_.normal();
    add(name, GgmlType::F32, {n}, values);
  }

  void add(const std::string& name, GgmlType type, std::vector<int64_t> shape,
           const std::vector<float>& values) {
    if (shape[0] % find_type(type)->block_len != 0) {
      throw std::runtime_error("rows of " + name + " are not whole blocks of its type");
    }
    auto bytes = quantize(type, values, shape[0]);
    out_.add_tensor(name + ".weight", type, std::move(shape),
                    [bytes = std::move(bytes)] { return bytes; });
  }

  const TinyModelOptions& o_;
  Random random_;
  GgufWriter out_;
};

}  // namespace

TinyModelOptions parse_tiny_model(const std::string& text) {
  TinyModelOptions o;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    const size_t at = item.find('=');
    const std::string key = item.substr(0, at);
    const std::string value = at == item.npos ? "" : item.substr(at + 1);
    const std::pair<const char*, int*> counts[] = {
        {"layers", &o.n_layers}, {"embd", &o.n_embd},         {"ff", &o.n_ff},
        {"heads", &o.n_heads},   {"kv_heads", &o.n_kv_heads}, {"ctx", &o.n_ctx}};
    const std::pair<const char*, float*> floats[] = {
        {"rope_base", &o.rope_freq_base}, {"eps", &o.rms_eps}, {"qk_gain", &o.qk_gain}};
    const std::pair<const char*, bool*> flags[] = {{"tied", &o.tied_output},
                                                   {"add_bos", &o.add_bos}};
    bool known = false;
    const auto is = [&](const char* name) {
      const bool same = key == name;
      known = known || same;
      return same;
    };
    for (const auto& [name, target] : counts) {
      if (is(name)) *target = std::stoi(value);
    }
    for (const auto& [name, target] : floats) {
      if (is(name)) *target = std::stof(value);
    }
    for (const auto& [name, target] : flags) {
      if (is(name)) *target = value == "1";
    }
    if (is("arch")) o.architecture = value;
    if (is("seed")) o.seed = std::stoull(value);
    if (is("vocabulary")) {
      o.vocabulary = value == "llama" ? TinyVocabulary::llama : TinyVocabulary::gpt2;
    }
    if (is("type")) {
      const TypeInfo* info = find_type_by_name(value);
      if (info == nullptr) throw std::runtime_error("unknown type '" + value + "'");
      o.matrix_type = o.embedding_type = o.output_type = info->type;
    }
    if (!known) throw std::runtime_error("no option '" + key + "' of the tiny model");
  }
  return o;
}

void write_tiny_model(const std::string& path, const TinyModelOptions& options) {
  Builder(options).write(path);
}

}  // namespace crossval::testing
