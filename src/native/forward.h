// The vocabulary of a forward pass: buffers for a batch of tokens and the operations that an
// architecture file strings together. Every operation treats tokens independently (attention sees
// the cache), so results do not depend on threads or on how a prompt is cut into batches.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "native/config.h"
#include "native/kv_cache.h"
#include "native/rope.h"
#include "native/tap_writer.h"
#include "native/weights.h"

namespace crossval {

// A batch of rows, row-major [n_tokens, width].
struct Rows {
  int width = 0;
  std::vector<float> data;
  float* row(int64_t token) { return data.data() + token * width; }
  const float* row(int64_t token) const { return data.data() + token * width; }
};

// llama.cpp's names of a projection's steps: the product with the matrix, then its factor and its
// bias where the model has them. The last step always has its name; one that another follows only
// when `midway` (and never where factor and product share a name).
struct LinearTaps {
  const char *product, *scaled, *biased;
  bool midway;
};

class ForwardPass {
 public:
  ForwardPass(const Config& config, Numerics numerics, KvCache& cache, ThreadPool& pool);

  // Prepares for n_tokens at positions first_position... and sizes the buffers.
  void begin(int n_tokens, int first_position);

  // out = in / rms(in) * weight, sum of squares in double as ggml does.
  void rms_norm(const Rows& in, const VectorWeight& weight, Rows& out);
  // out = (in W^T) * scale + bias; scale, a vector of one element, and bias may be empty.
  void linear(const LinearTaps& names, const WeightView& w, const VectorWeight& scale,
              const VectorWeight& bias, const Rows& in, Rows& out);
  // Rotates n_heads heads of every row by its position.
  void rope(Rows& heads, int n_heads);
  // Appends k and v to the current layer's cache, then causal softmax attention of q over it.
  void attention(const Rows& q, const Rows& k, const Rows& v, Rows& out);
  // gate = silu(gate) * up
  void silu_multiply(Rows& gate, const Rows& up);
  // gate = relu(gate)^2 * up
  void relu_squared_multiply(Rows& gate, const Rows& up);
  // sum += term
  void add(const Rows& term, Rows& sum);
  // Shows rows of the current layer to whoever watches; costs nothing when nobody does.
  void tap(const char* stem, const char* op, const Rows& rows, int n_heads = 0) {
    if (taps) taps->write(stem, layer, op, rows.data.data(), rows.width, n_tokens, n_heads);
  }

  const Config& config;
  int n_tokens = 0;
  int first_position = 0;
  int layer = -1;             // the one being computed, -1 outside
  TapWriter* taps = nullptr;  // null = nobody watches
  Rows x;                     // residual stream [n_tokens, n_embd]
  Rows normed, branch;        // [n_tokens, n_embd]
  Rows q, heads;              // [n_tokens, n_heads * head_dim]
  Rows k, v;                  // [n_tokens, n_kv_heads * head_dim]
  Rows gate, up;              // [n_tokens, n_ff]
  const VectorWeight* rope_freqs = nullptr;
  bool round_softmax = true;  // to f16 where the cache is f16 (Arch::f32_beside_f16)

 private:
  // Calls body(token) for every token of the batch, in parallel when that pays.
  void each_token(const std::function<void(int64_t token)>& body);
  void multiply(const VectorWeight& factor, Rows& rows);

  Numerics numerics_;
  KvCache& cache_;
  ThreadPool& pool_;
  RopeTable rope_table_;
};

}  // namespace crossval
