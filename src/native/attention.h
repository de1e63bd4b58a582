// Causal grouped-query attention of a batch of tokens over the cache, with what architectures do to
// the scores: soft caps, ALiBi, sliding windows, sinks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "native/kv_cache.h"

namespace crossval {

// Which entries of the cache each token sees, where something chose them.
struct Chosen {
  int n_sets = 1;     // choices of a token: one for all heads, or one for each head of keys
  int n_entries = 0;  // those behind are not seen
  std::vector<uint8_t> flags;  // [n_tokens, n_sets, n_entries], 1 = seen

  void resize(int n_tokens, int n_sets, int n_entries);
  uint8_t* of(int64_t token, int set) { return flags.data() + offset(token, set); }
  const uint8_t* of(int64_t token, int set) const { return flags.data() + offset(token, set); }

 private:
  int64_t offset(int64_t token, int set) const { return (token * n_sets + set) * n_entries; }
};

struct AttentionArgs {
  const KvCache& cache;  // keys and values of the batch already appended
  int layer;
  int n_heads;
  float kq_scale;
  int first_position;
  int n_tokens;
  bool round_softmax = true;  // to f16 where values are f16
  int window_len = 0;         // positions that a token sees, its own included; 0 = all
  bool chunked = false;       // what a token sees begins at a multiple of window_len
  float softcap = 0;          // scores become softcap * tanh(score / softcap); 0 = none
  float alibi_bias = 0;       // ggml's max_bias; 0 = none
  bool causal = true;         // false: the tokens of the batch see each other and nothing before
  std::span<const float> sinks = {};  // a score per head that takes weight and gives no value
  const Chosen* chosen = nullptr;     // instead of what causality and window let a token see
};

// out[t, h] = sum_j softmax_j(kq_scale * q[t, h] . k[j]) v[j] over positions j <= that of t.
// q: [n_tokens, n_heads * key_len], out: [n_tokens, n_heads * value_len]. Every sum runs in
// position (or dimension) order, so the result does not depend on threads, on the batch, or on the
// instruction set. Where the cache is f16 the query and (if round_softmax) the softmax weights are
// rounded through f16 too, as ggml's f16 dot products do.
void causal_attention(const AttentionArgs& args, const float* q, float* out, ThreadPool& pool);

}  // namespace crossval
