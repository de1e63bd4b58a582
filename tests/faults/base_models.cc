#include "faults/base_models.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "gguf/writer.h"
#include "support/model_edit.h"
#include "support/quantize.h"
#include "support/random.h"
#include "support/tiny_vocabulary.h"

namespace crossval::testing {
namespace {

constexpr int kNLayers = 3;

class Builder {
 public:
  Builder(const BaseModel& model, uint64_t seed) : m_(model), random_(seed) {}

  void write(const std::string& path) {
    hyperparameters();
    const auto kind = m_.spm ? TinyVocabulary::llama : TinyVocabulary::gpt2;
    const int n_vocab = set_tiny_vocabulary(out_, kind, false);
    u32("vocab_size", n_vocab);
    // Ternary types and formats of whole models hold the layers; embeddings stay F16 beside them.
    const bool is_ternary = m_.type == GgmlType::TQ2_0;
    const GgmlType outer = is_ternary ? GgmlType::F16 : m_.type;
    matrix("token_embd", m_.n_embd, n_vocab, 0.05f, outer);
    for (int layer = 0; layer < kNLayers; ++layer) add_layer("blk." + std::to_string(layer) + ".");
    norm("output_norm", m_.n_embd);
    if (!m_.tied) matrix("output", m_.n_embd, n_vocab, 3.0f * usual(m_.n_embd), outer);
    if (m_.rope_freqs) rope_freqs();
    out_.write(path);
  }

 private:
  static float usual(int n_in) { return 1.0f / std::sqrt(static_cast<float>(n_in)); }
  int head_dim() const { return m_.n_embd / m_.n_heads; }
  bool is(const char* arch) const { return std::string(m_.arch) == arch; }
  void u32(const std::string& key, int value) {
    out_.set_u32(std::string(m_.arch) + "." + key, static_cast<uint32_t>(value));
  }

  void hyperparameters() {
    const std::string prefix = std::string(m_.arch) + ".";
    out_.set_string("general.architecture", m_.arch);
    out_.set_string("general.name", "crossval fault suite");
    u32("block_count", kNLayers);
    u32("context_length", 512);
    u32("embedding_length", m_.n_embd);
    u32("feed_forward_length", m_.n_ff);
    u32("attention.head_count", m_.n_heads);
    u32("attention.head_count_kv", m_.n_kv_heads);
    u32("rope.dimension_count", head_dim());
    out_.set_f32(prefix + "rope.freq_base", 10000.0f);
    out_.set_f32(prefix + "attention.layer_norm_rms_epsilon", 1e-5f);
    if (is("qwen3") || is("gemma3")) {
      u32("attention.key_length", head_dim());
      u32("attention.value_length", head_dim());
    }
    if (is("gemma3")) u32("attention.sliding_window", 8);
    if (is("gemma2")) {
      u32("attention.sliding_window", 16);
      u32("attention.key_length", head_dim());
      u32("attention.value_length", head_dim());
      out_.set_f32("gemma2.attn_logit_softcapping", 5.0f);
      out_.set_f32("gemma2.final_logit_softcapping", 3.0f);
    }
    if (is("granite")) {
      out_.set_f32("granite.attention.scale", 0.3f);
      out_.set_f32("granite.embedding_scale", 2.0f);
      out_.set_f32("granite.residual_scale", 0.5f);
      out_.set_f32("granite.logit_scale", 4.0f);
    }
    if (m_.n_experts > 0) {
      u32("expert_count", m_.n_experts);
      u32("expert_used_count", 2);
    }
  }

  // Names: src/llama-arch.cpp of llama.cpp.
  void add_layer(const std::string& blk) {
    const int n_kv = head_dim() * m_.n_kv_heads;
    const float wide = 2.0f * usual(m_.n_embd);
    norm(blk + "attn_norm", m_.n_embd);
    matrix(blk + "attn_q", m_.n_embd, m_.n_embd, wide, m_.type);
    matrix(blk + "attn_k", m_.n_embd, n_kv, wide, m_.type);
    matrix(blk + "attn_v", m_.n_embd, n_kv, usual(m_.n_embd), m_.type);
    matrix(blk + "attn_output", m_.n_embd, m_.n_embd, usual(m_.n_embd), m_.type);
    if (m_.biases) {
      bias(blk + "attn_q", m_.n_embd);
      bias(blk + "attn_k", n_kv);
      bias(blk + "attn_v", n_kv);
    }
    if (is("qwen3") || is("gemma3")) {
      norm(blk + "attn_q_norm", head_dim());
      norm(blk + "attn_k_norm", head_dim());
    }
    if (is("bitnet")) {
      norm(blk + "attn_sub_norm", m_.n_embd);
      norm(blk + "ffn_sub_norm", m_.n_ff);
    }
    if (is("gemma2") || is("gemma3")) {
      norm(blk + "post_attention_norm", m_.n_embd);
      norm(blk + "post_ffw_norm", m_.n_embd);
    }
    norm(blk + "ffn_norm", m_.n_embd);
    if (m_.n_experts > 0) {
      const int n = m_.n_experts;
      matrix(blk + "ffn_gate_inp", m_.n_embd, n, usual(m_.n_embd), GgmlType::F32);
      matrix(blk + "ffn_gate_exps", m_.n_embd, m_.n_ff, usual(m_.n_embd), m_.type, n);
      matrix(blk + "ffn_up_exps", m_.n_embd, m_.n_ff, usual(m_.n_embd), m_.type, n);
      matrix(blk + "ffn_down_exps", m_.n_ff, m_.n_embd, usual(m_.n_ff), m_.type, n);
      return;
    }
    matrix(blk + "ffn_gate", m_.n_embd, m_.n_ff, usual(m_.n_embd), m_.type);
    matrix(blk + "ffn_up", m_.n_embd, m_.n_ff, usual(m_.n_embd), m_.type);
    matrix(blk + "ffn_down", m_.n_ff, m_.n_embd, usual(m_.n_ff), m_.type);
  }

  void matrix(const std::string& name, int64_t row_len, int64_t n_rows, float deviation,
              GgmlType type, int64_t n_experts = 0) {
    std::vector<int64_t> shape = {row_len, n_rows};
    if (n_experts > 0) shape.push_back(n_experts);
    std::vector<float> values(
        static_cast<size_t>(row_len * n_rows * std::max<int64_t>(1, n_experts)));
    for (float& value : values) value = deviation * random_.normal();
    out_.add_tensor(name + ".weight", type, shape,
                    [bytes = quantize(type, values)] { return bytes; });
  }

  void vector(const std::string& name, int n, float mean, float deviation) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& value : values) value = mean + deviation * random_.normal();
    out_.add_tensor(name, GgmlType::F32, {n},
                    [bytes = quantize(GgmlType::F32, values)] { return bytes; });
  }
  void norm(const std::string& name, int n) { vector(name + ".weight", n, 1.0f, 0.1f); }
  void bias(const std::string& name, int n) { vector(name + ".bias", n, 0.0f, 0.3f); }

  void rope_freqs() {
    std::vector<float> factors(static_cast<size_t>(head_dim() / 2));
    for (size_t i = 0; i < factors.size(); ++i) factors[i] = i < factors.size() / 2 ? 1.0f : 8.0f;
    out_.add_tensor("rope_freqs.weight", GgmlType::F32, {head_dim() / 2},
                    [bytes = quantize(GgmlType::F32, factors)] { return bytes; });
  }

  const BaseModel& m_;
  Random random_;
  GgufWriter out_;
};

}  // namespace

std::span<const BaseModel> base_models() {
  using enum GgmlType;
  static const BaseModel table[] = {
      {"llama-f32", "llama", F32, true},
      {"llama-f16", "llama", F16, false},
      {"llama-q8_0", "llama", Q8_0, true},
      {"llama-q4_0", "llama", Q4_0, false},
      {"llama-q4_1", "llama", Q4_1, true},
      {.name = "llama-q4_k", .arch = "llama", .type = Q4_K, .n_embd = 256, .n_ff = 512},
      {.name = "llama-q6_k", .arch = "llama", .type = Q6_K, .n_embd = 256, .n_ff = 256},
      {.name = "llama-bias", .arch = "llama", .type = F32, .quick = true, .biases = true},
      {.name = "llama-bias-q8_0", .arch = "llama", .type = Q8_0, .biases = true},
      {.name = "llama-mha-tied", .arch = "llama", .type = F16, .n_kv_heads = 4, .tied = true},
      {.name = "llama-freqs", .arch = "llama", .type = F32, .quick = true, .rope_freqs = true},
      {.name = "llama-freqs-q4_0",
       .arch = "llama",
       .type = Q4_0,
       .n_heads = 2,
       .n_kv_heads = 1,
       .rope_freqs = true},
      {.name = "llama-spm", .arch = "llama", .type = Q4_1, .tied = true, .spm = true},
      {.name = "bitnet-f32", .arch = "bitnet", .type = F32, .quick = true, .tied = true},
      {.name = "bitnet-f16", .arch = "bitnet", .type = F16, .tied = true},
      {.name = "bitnet-tq2_0",
       .arch = "bitnet",
       .type = TQ2_0,
       .quick = true,
       .n_embd = 256,
       .n_ff = 256,
       .tied = true},
      {.name = "qwen2-q8_0", .arch = "qwen2", .type = Q8_0, .biases = true},
      {.name = "qwen3-f32", .arch = "qwen3", .type = F32, .quick = true},
      {.name = "qwen3-q4_k",
       .arch = "qwen3",
       .type = Q4_K,
       .n_embd = 256,
       .n_ff = 512,
       .tied = true},
      {.name = "gemma3-f16", .arch = "gemma3", .type = F16, .tied = true, .spm = true},
      {.name = "llama-bf16", .arch = "llama", .type = BF16},
      {.name = "llama-q5_0", .arch = "llama", .type = Q5_0, .n_embd = 128, .n_heads = 8},
      {.name = "llama-q5_1",
       .arch = "llama",
       .type = Q5_1,
       .n_embd = 96,
       .n_heads = 3,
       .n_kv_heads = 1},
      {.name = "llama-moe-q8_0", .arch = "llama", .type = Q8_0, .n_experts = 4},
      {.name = "gemma2-f32", .arch = "gemma2", .type = F32, .tied = true},
      {.name = "granite-q4_0", .arch = "granite", .type = Q4_0},
      {.name = "smollm2-q4_1",
       .arch = nullptr,
       .type = Q4_1,
       .file = ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"},
  };
  return table;
}

bool write_base_model(const BaseModel& model, uint64_t seed, const std::string& path) {
  if (model.file == nullptr) {
    Builder(model, seed).write(path);
    return true;
  }
  const std::filesystem::path source = std::filesystem::path(CROSSVAL_ROOT) / model.file;
  if (!std::filesystem::exists(source)) return false;
  std::filesystem::remove(path);
  std::filesystem::create_symlink(source, path);
  return true;
}

}  // namespace crossval::testing
