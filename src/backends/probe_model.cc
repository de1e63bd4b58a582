// The tiny model's keys and tensors, named as llama.cpp reads them (src/llama-arch.cpp).
#include "backends/probe_model.h"

#include <cstring>
#include <vector>

#include "gguf/writer.h"

namespace crossval {
namespace {

constexpr int n_embd = 64, n_ff = 128, n_head = 4, n_head_kv = 2, head_len = n_embd / n_head;
constexpr int n_kv = n_head_kv * head_len, n_vocab = static_cast<int>(probe_model_vocab);

struct Tensor {
  const char* name;
  std::vector<int64_t> shape;  // row length first
};

const std::vector<Tensor> tensors = {
    {"token_embd.weight", {n_embd, n_vocab}},  {"output.weight", {n_embd, n_vocab}},
    {"output_norm.weight", {n_embd}},          {"blk.0.attn_norm.weight", {n_embd}},
    {"blk.0.attn_q.weight", {n_embd, n_embd}}, {"blk.0.attn_k.weight", {n_embd, n_kv}},
    {"blk.0.attn_v.weight", {n_embd, n_kv}},   {"blk.0.attn_output.weight", {n_embd, n_embd}},
    {"blk.0.ffn_norm.weight", {n_embd}},       {"blk.0.ffn_gate.weight", {n_embd, n_ff}},
    {"blk.0.ffn_up.weight", {n_embd, n_ff}},   {"blk.0.ffn_down.weight", {n_ff, n_embd}}};

// Norms near 1, matrices of deviation 0.14: activations stay of order 1.
std::vector<std::byte> random_values(const std::vector<int64_t>& shape, uint32_t& state) {
  const size_t n = static_cast<size_t>(shape.size() == 2 ? shape[0] * shape[1] : shape[0]);
  std::vector<float> values(n);
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    const float uniform = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5f;
    value = shape.size() == 1 ? 1.0f + 0.1f * uniform : 0.5f * uniform;
  }
  std::vector<std::byte> bytes(n * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

void write_probe_model(const std::string& path) {
  GgufWriter writer;
  writer.set_string("general.architecture", "llama");
  writer.set_u32("llama.context_length", 64);
  writer.set_u32("llama.embedding_length", n_embd);
  writer.set_u32("llama.block_count", 1);
  writer.set_u32("llama.feed_forward_length", n_ff);
  writer.set_u32("llama.attention.head_count", n_head);
  writer.set_u32("llama.attention.head_count_kv", n_head_kv);
  writer.set_u32("llama.rope.dimension_count", head_len);
  writer.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  writer.set_u32("llama.vocab_size", n_vocab);
  writer.set_string("tokenizer.ggml.model", "no_vocab");
  uint32_t state = 12345;
  for (const Tensor& tensor : tensors) {
    writer.add_tensor(tensor.name, GgmlType::F32, tensor.shape,
                      [&] { return random_values(tensor.shape, state); });
  }
  writer.write(path);
}

}  // namespace crossval
