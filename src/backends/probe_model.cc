// The tiny model's keys and tensors, named as llama.cpp reads them (src/llama-arch.cpp).
#include "backends/probe_model.h"

#include <cstring>
#include <vector>

#include "gguf/writer.h"

namespace crossval {
namespace {

constexpr int kNEmbd = 64, kNFf = 128, kNHead = 4, kNHeadKv = 2, kHeadLen = kNEmbd / kNHead;
constexpr int kNKv = kNHeadKv * kHeadLen, kNVocab = static_cast<int>(kProbeModelVocab);

struct Tensor {
  const char* name;
  std::vector<int64_t> shape;  // row length first
};

const std::vector<Tensor> kTensors = {
    {"token_embd.weight", {kNEmbd, kNVocab}},  {"output.weight", {kNEmbd, kNVocab}},
    {"output_norm.weight", {kNEmbd}},          {"blk.0.attn_norm.weight", {kNEmbd}},
    {"blk.0.attn_q.weight", {kNEmbd, kNEmbd}}, {"blk.0.attn_k.weight", {kNEmbd, kNKv}},
    {"blk.0.attn_v.weight", {kNEmbd, kNKv}},   {"blk.0.attn_output.weight", {kNEmbd, kNEmbd}},
    {"blk.0.ffn_norm.weight", {kNEmbd}},       {"blk.0.ffn_gate.weight", {kNEmbd, kNFf}},
    {"blk.0.ffn_up.weight", {kNEmbd, kNFf}},   {"blk.0.ffn_down.weight", {kNFf, kNEmbd}}};

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
  writer.set_u32("llama.embedding_length", kNEmbd);
  writer.set_u32("llama.block_count", 1);
  writer.set_u32("llama.feed_forward_length", kNFf);
  writer.set_u32("llama.attention.head_count", kNHead);
  writer.set_u32("llama.attention.head_count_kv", kNHeadKv);
  writer.set_u32("llama.rope.dimension_count", kHeadLen);
  writer.set_f32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  writer.set_u32("llama.vocab_size", kNVocab);
  writer.set_string("tokenizer.ggml.model", "no_vocab");
  uint32_t state = 12345;
  for (const Tensor& tensor : kTensors) {
    writer.add_tensor(tensor.name, GgmlType::F32, tensor.shape,
                      [&] { return random_values(tensor.shape, state); });
  }
  writer.write(path);
}

}  // namespace crossval
