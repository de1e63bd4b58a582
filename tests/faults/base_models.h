// The sound models that faults are planted in: one row each. Generated ones are small and drawn so
// that faults matter: small embeddings (the epsilon of a norm counts), wide Q and K (attention is
// not flat, so RoPE counts). The same seed always gives the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "gguf/types.h"

namespace crossval::testing {

struct BaseModel {
  const char* name;
  const char* arch;  // nullptr: `file` is taken as it is
  GgmlType type = GgmlType::F32;
  bool quick = false;  // part of the short suite
  int n_embd = 64, n_ff = 96, n_heads = 4, n_kv_heads = 2;
  bool tied = false;
  bool biases = false;         // of q, k, v
  bool rope_freqs = false;     // a table that divides the frequencies, as Llama 3.1's
  int n_experts = 0;           // of the feed-forward network, two used; 0 = a dense one
  bool spm = false;            // SentencePiece vocabulary, else byte-level BPE
  const char* file = nullptr;  // below the project's root; skipped where it is absent
};

std::span<const BaseModel> base_models();

// Writes it to `path`. False when it needs a file that is not there.
bool write_base_model(const BaseModel& model, uint64_t seed, const std::string& path);

}  // namespace crossval::testing
