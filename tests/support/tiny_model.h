// A small random model of the llama or bitnet architecture with a small vocabulary of its own, as a
// GGUF file that llama.cpp loads too. The same options always give the same bytes.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/types.h"

namespace crossval::testing {

enum class TinyVocabulary { gpt2, llama };  // byte-level BPE; SentencePiece with byte fallback

struct TinyModelOptions {
  std::string architecture = "llama";  // or bitnet and its kin, which want tied_output
  uint64_t seed = 1;
  int n_layers = 2;
  int n_embd = 64;  // 256 for Q6_K: rows are whole blocks
  int n_ff = 96;
  int n_heads = 4;
  int n_kv_heads = 2;
  int n_ctx = 512;
  float rope_freq_base = 10000.0f;
  float rms_eps = 1e-5f;
  bool tied_output = false;
  bool add_bos = false;
  TinyVocabulary vocabulary = TinyVocabulary::gpt2;
  GgmlType matrix_type = GgmlType::F32;  // of all matrices in the layers
  GgmlType embedding_type = GgmlType::F32;
  GgmlType output_type = GgmlType::F32;
  // Deviation of Q and K times sqrt(n_embd): 1 hides faults of RoPE behind flat attention.
  float qk_gain = 2.0f;
};

// "seed=3,layers=4,embd=256,type=q6_k,vocabulary=llama,tied=1" changes those of the defaults;
// std::runtime_error for a name that is no option. For scripts.
TinyModelOptions parse_tiny_model(const std::string& text);

void write_tiny_model(const std::string& path, const TinyModelOptions& options = {});

}  // namespace crossval::testing
