// Writes the tiny GGUF. Keys and tensor names as llama.cpp reads them (src/llama-arch.cpp).
#include "backends/probe_model.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace crossval {
namespace {

constexpr uint32_t n_embd = 64, n_ff = 128, n_head = 4, n_head_kv = 2, head_len = n_embd / n_head;
constexpr uint32_t type_u32 = 4, type_f32 = 6, type_string = 8;  // GGUF metadata value types
constexpr size_t alignment = 32;

class Writer {
 public:
  template <typename T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian hosts
  }
  void put_text(const std::string& text) {
    put<uint64_t>(text.size());
    bytes_ += text;
  }
  void key_u32(const std::string& key, uint32_t value) {
    put_text(key);
    put(type_u32);
    put(value);
  }
  void key_f32(const std::string& key, float value) {
    put_text(key);
    put(type_f32);
    put(value);
  }
  void key_text(const std::string& key, const std::string& value) {
    put_text(key);
    put(type_string);
    put_text(value);
  }
  void pad() { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment); }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

struct Tensor {
  std::string name;
  std::vector<uint64_t> shape;  // row length first
  uint64_t n() const { return shape.size() == 2 ? shape[0] * shape[1] : shape[0]; }
};

std::vector<Tensor> tensors() {
  return {{"token_embd.weight", {n_embd, probe_model_vocab}},
          {"output.weight", {n_embd, probe_model_vocab}},
          {"output_norm.weight", {n_embd}},
          {"blk.0.attn_norm.weight", {n_embd}},
          {"blk.0.attn_q.weight", {n_embd, n_embd}},
          {"blk.0.attn_k.weight", {n_embd, n_head_kv * head_len}},
          {"blk.0.attn_v.weight", {n_embd, n_head_kv * head_len}},
          {"blk.0.attn_output.weight", {n_embd, n_embd}},
          {"blk.0.ffn_norm.weight", {n_embd}},
          {"blk.0.ffn_gate.weight", {n_embd, n_ff}},
          {"blk.0.ffn_up.weight", {n_embd, n_ff}},
          {"blk.0.ffn_down.weight", {n_ff, n_embd}}};
}

}  // namespace

std::string make_probe_model() {
  const auto all = tensors();
  Writer out;
  out.put<uint32_t>(0x46554747);  // "GGUF"
  out.put<uint32_t>(3);
  out.put<uint64_t>(all.size());
  out.put<uint64_t>(11);
  out.key_text("general.architecture", "llama");
  out.key_u32("llama.context_length", 64);
  out.key_u32("llama.embedding_length", n_embd);
  out.key_u32("llama.block_count", 1);
  out.key_u32("llama.feed_forward_length", n_ff);
  out.key_u32("llama.attention.head_count", n_head);
  out.key_u32("llama.attention.head_count_kv", n_head_kv);
  out.key_u32("llama.rope.dimension_count", head_len);
  out.key_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  out.key_u32("llama.vocab_size", probe_model_vocab);
  out.key_text("tokenizer.ggml.model", "no_vocab");
  uint64_t offset = 0;
  for (const Tensor& tensor : all) {
    out.put_text(tensor.name);
    out.put<uint32_t>(static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t n : tensor.shape) {
      out.put(n);
    }
    out.put<uint32_t>(0);  // F32
    out.put(offset);
    offset += tensor.n() * sizeof(float);  // every n is a multiple of 8: stays aligned
  }
  out.pad();
  uint32_t state = 12345;
  for (const Tensor& tensor : all) {
    for (uint64_t i = 0; i < tensor.n(); ++i) {
      state = state * 1664525u + 1013904223u;
      const float uniform = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5f;
      out.put(tensor.shape.size() == 1 ? 1.0f + 0.1f * uniform : 0.5f * uniform);
    }
  }
  return out.take();
}

}  // namespace crossval
