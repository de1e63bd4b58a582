// The vocabulary of a forward pass: buffers for a batch of tokens and the operations that the
// blocks string together. Every operation treats tokens independently (attention sees the cache) or
// one after the other from the state before (recurrent blocks), so results do not depend on threads
// or on how a prompt is cut into batches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "arch/config.h"
#include "base/parallel.h"
#include "engine/engine.h"
#include "native/attention.h"
#include "native/compressor.h"
#include "native/indexer.h"
#include "native/kv_cache.h"
#include "native/ngram_embedding.h"
#include "native/recurrent_state.h"
#include "native/rope.h"
#include "native/routing_log.h"
#include "native/rows.h"
#include "native/tap_writer.h"
#include "native/weights.h"

namespace crossval {

// llama.cpp's names of a projection's steps: the product with the matrix, then its factor and its
// bias where the model has them. The last step always has its name; one that another follows only
// when `midway` (and never where factor and product share a name).
struct LinearTaps {
  const char *product, *scaled, *biased;
  bool midway;
  bool bias_first = false;  // the bias is scaled too (feed-forward parts)
};

// What a mixture of experts works in: rows of one expert, results of each token's experts.
struct ExpertScratch {
  std::vector<int> chosen;     // [n_tokens, n_used], best first
  std::vector<float> weights;  // theirs
  std::vector<int> slots;      // of one expert: token * n_used + rank
  Rows latent;                 // what experts read and make, where that is shorter
  Rows in, gate, up, out;      // [slots of one expert, ...]
  std::vector<float> results;  // [n_tokens, n_used, n_embd]
};

// What an indexer works in, each [n_tokens, ...].
struct IndexScratch {
  Rows q, k, weights;
};

// What recurrent blocks work in, each [n_tokens, ...].
struct RecurrentScratch {
  Rows in, conv_in, conv;  // projected; what the convolution gets and gives
  Rows z, x, parameters;
  Rows dt_low, dt, b, c;
  Rows y;
};

class ForwardPass {
 public:
  ForwardPass(const Arch& arch, const Config& config, const Weights& weights, Numerics numerics,
              KvCache& cache, ThreadPool& pool);

  // Prepares for ids at positions first_position... and sizes the buffers.
  void begin(std::span<const TokenId> ids, int first_position);
  // Forgets all tokens before, and makes room for n_ctx of them.
  void reset(int n_ctx);
  // Factors that the angles of rotations are divided by; they must outlive the pass.
  void set_rope_factors(const VectorWeight& factors) { rope_factors_ = &factors; }

  // All layers over x, in place (layer.cc).
  void run_layers();

  // Rows of `n` elements each, n_tokens * rows.width / n of them, normed by weight and bias (either
  // may be empty). Where the weight has several rows, one for each of a token's in turn.
  void norm(const Rows& in, const Weight& weight, NormKind kind, int n, float eps, Rows& out);
  void norm(const Rows& in, const Weight& weight, Rows& out) {
    norm(in, weight, arch.norm, in.width, config.norm_eps, out);
  }
  // out = (in W^T) * scale + bias, or (in W^T + bias) * scale, where the weight has them.
  void linear(const LinearTaps& names, const Weight& weight, const Rows& in, Rows& out);
  // The same under one name, at its last step alone; null = not shown.
  void linear(const char* name, const Weight& weight, const Rows& in, Rows& out) {
    linear({name, name, name, false}, weight, in, out);
  }
  // The product alone, for n rows that lie in_stride and out_stride apart.
  void product(const WeightView& w, const float* in, int64_t in_stride, int64_t n, float* out,
               int64_t out_stride);
  // n matrices side by side, of n_rows each: part i of a row of `in` times matrix i is part i of
  // `out`. Parts of `in` may begin with what the matrix reads.
  void product_of_each(const Weight& weight, int n, int n_rows, const Rows& in, Rows& out);
  // Rotates n_heads heads of every row by its position: of each the part from `offset`.
  void rope(Rows& heads, int n_heads) { rope(heads, n_heads, config.head_dim, 0); }
  void rope(Rows& heads, int n_heads, int head_len, int offset) {
    rope(heads, n_heads, head_len, offset, config.rope.style);
  }
  void rope(Rows& heads, int n_heads, int head_len, int offset, RopeStyle style);
  void rope_back(Rows& heads, int n_heads, int head_len, int offset);
  // Appends k and v to the current layer's cache, then causal softmax attention of q over it, or
  // over what was chosen of it.
  void attention(const Rows& q, const Rows& k, const Rows& v, Rows& out,
                 const Chosen* chosen = nullptr);
  // The row that stands for several positions, of keys that are values too, and where those begin.
  void append_behind(int index, const float* row);
  int first_entry_behind() const { return cache_.first_entry_behind(); }
  // Turns one row by a position of its own, from `offset`, as the layer rotates.
  void rope_at(int position, int offset, float* row) const;
  // gate = act(gate) * up; `up` may be null.
  void activate(Act act, Rows* up, Rows& gate, float limit = 0, bool limit_after = true);
  // The same of one row. A limit that is not 0 holds the gate (or, `limit_after`, what its function
  // makes of it) below it, and `up` within it.
  void activate_row(Act act, float limit, bool limit_after, float* up, int n, float* gate) const;
  // rows *= sigmoid(gates)
  void gate_by(const Rows& gates, Rows& rows);
  // Halves of each row of `both` to gate and up.
  void split(const Rows& both, Rows& first, Rows& second);
  // rows *= factor
  void scale(float factor, Rows& rows);
  // sum += term * factor
  void add(const Rows& term, float factor, Rows& sum);
  // What another order of their sums might make of these rows (sum_order.h).
  void disturb(Rows& sums);
  // Shows rows of the current layer to whoever watches; costs nothing when nobody does.
  void tap(const char* stem, const char* op, const Rows& rows, int n_heads = 0) {
    if (taps && stem) taps->write(stem, layer, op, rows.data.data(), rows.width, n_tokens, n_heads);
  }
  // Calls body(token) for every token of the batch, in parallel when that pays.
  void each_token(const std::function<void(int64_t token)>& body);
  // Calls body(i) for i < n, in parallel.
  void each(int64_t n, const std::function<void(int64_t i)>& body);
  // Makes room for rows of this width.
  void resize(Rows& rows, int width) const;

  const LayerConfig& layer_config() const { return config.layers[static_cast<size_t>(layer)]; }
  const WeightsByRole& layer_weights() const { return weights.layers[static_cast<size_t>(layer)]; }
  bool as_ggml() const { return numerics_ == Numerics::ggml; }
  KvType k_type() const { return cache_.k_type(); }

  const Arch& arch;
  const Config& config;
  const Weights& weights;
  std::span<const TokenId> ids;
  int n_tokens = 0;
  int first_position = 0;
  int layer = -1;                             // the one being computed, -1 outside
  bool sums_otherwise = false;                // as another order of f32 sums makes them
  bool reads_halves = false;                  // attention as NativeOptions says
  TapWriter* taps = nullptr;                  // null = nobody watches
  RoutingLog* routing_log = nullptr;          // null = nobody asks
  const RoutingTips* routing_tips = nullptr;  // null = none
  Rows x;                                     // residual stream [n_tokens, n_embd]
  Rows streams;                               // of hyper connections [n_tokens, count * n_embd]
  Rows hyper_normed, hyper_weights, hyper_low, hyper_gates;
  Rows low, high;                 // states of cycles
  Rows embedding;                 // as the layers got it (Arch::embedding_skip)
  std::vector<Rows> checkpoints;  // residuals of layers before, each [n_tokens, n_embd]
  Rows mixed;                     // of them and x
  Rows layer_input;               // the same, before the layer, where a branch reads it
  Rows normed, branch;            // [n_tokens, n_embd]
  Rows qkv, q, k, v, heads;       // sized by layer
  Rows q_row, kv_row;  // latent attention: what queries, and keys and values, are made of
  Rows k_shared;       // and the piece of key that all heads share
  Rows gate, up;       // [n_tokens, n_ff]
  Rows both;           // what is split in two, or put together
  Rows router;         // [n_tokens, n_experts]
  Rows mixture;        // [n_tokens, n_embd]
  IndexScratch index;
  IndexerKeys indexer_keys;  // of all tokens up to this pass; reset with the cache
  // Of compressed attention, by layer.
  struct Compressors {
    Compressor attention, indexer;
  };
  std::vector<Compressors> compressors;
  Chosen chosen;  // by the latest indexer of this pass; without entries = none chose
  ExpertScratch experts;
  NgramState ngrams;  // of all tokens before this pass; reset with the cache
  RecurrentScratch recurrent;
  RecurrentState recurrent_state;  // of all tokens before this pass; reset with the cache

 private:
  Numerics numerics_;
  KvCache& cache_;
  ThreadPool& pool_;
  const VectorWeight* rope_factors_ = nullptr;
  uint64_t n_disturbed_ = 0;  // products and branches of this pass
  RopeTable rope_table_, window_rope_table_;
};

// Hyper connections: the streams begin as copies of x; a branch reads their sum, in x, and is added
// to each; at the end x is a last sum of them.
void begin_streams(ForwardPass& pass);
void read_streams(ForwardPass& pass, const Branch& branch);
void add_to_streams(ForwardPass& pass, const char* tap);
// The same where gates weigh each element (Arch::Hyper::gates).
void read_gated_streams(ForwardPass& pass, const Weight& norm, const Weight& down, const Weight& up,
                        const Weight* inject);
void end_streams(ForwardPass& pass);

// Adds what the latest ids look up to the streams.
void add_ngrams(ForwardPass& pass);

// Residual checkpoints: pass.mixed = what a block reads; what of x is kept at a layer, where x
// begins anew.
void mix_checkpoints(ForwardPass& pass, const Weight& score);
void keep_checkpoint(ForwardPass& pass);

// The blocks. `in` and the result, in pass.branch, are [n_tokens, n_embd].
void attention_block(ForwardPass& pass, const Attention& attention, const Rows& in);
// pass.heads times a function of a product of their own.
void gate_heads(ForwardPass& pass, Attention::Gate gate_kind, const char* tap, const Rows& in);
// Queries, in pass.q, by Config::temperature.
void scale_by_position(ForwardPass& pass);
// Of the sums of rectified products of each token's queries, in pass.index.q, with its first
// n_keys(token) indexer's keys, times pass.index.weights, the config.indexer.n_seen best: 1 in
// marks(token), of n_keys elements.
void mark_best_keys(ForwardPass& pass, const std::function<int(int64_t token)>& n_keys,
                    const std::function<uint8_t*(int64_t token)>& marks);
// What the tokens see in this layer: pass.chosen, or null where they see everything. `in` is what
// the block reads.
const Chosen* choose_positions(ForwardPass& pass, const Indexer& indexer, const Rows& in);
void latent_attention_block(ForwardPass& pass, const LatentAttention& attention, const Rows& in);
void compressed_attention_block(ForwardPass& pass, const Rows& in);
void dense_block(ForwardPass& pass, const Ffn& ffn, const Rows& in);
void scan_block(ForwardPass& pass, const SelectiveScan& scan, const Rows& in);
void delta_net_block(ForwardPass& pass, const GatedDeltaNet& net, const Rows& in);
void channel_net_block(ForwardPass& pass, const ChannelDeltaNet& net, const Rows& in);
void lightning_block(ForwardPass& pass, const Rows& in);
void short_conv_block(ForwardPass& pass, const ShortConv& conv, const Rows& in);
void experts_block(ForwardPass& pass, const FeedForward& ffn, const Rows& in);

}  // namespace crossval
