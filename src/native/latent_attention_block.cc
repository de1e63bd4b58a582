// Multi-head latent attention (arXiv:2405.04434, 2.1), in the form the file has its matrices for:
// plain (attn_kv_b makes each head's keys and values) or absorbed (attn_k_b takes queries to the
// rows that are kept, attn_v_b what they gather from them to values).
// Tap names: llama.cpp src/models/deepseek2.cpp, minicpm3.cpp.
#include <algorithm>

#include "native/forward.h"

namespace crossval {
namespace {

// Elements of each head's key (and query) that are not rotated; those that are stand behind them.
int n_plain(const ForwardPass& pass) {
  return pass.layer_config().latent.key_len - pass.config.rope.n_dims;
}

// pass.q = queries of latent.key_len, their last part rotated.
void make_queries(ForwardPass& pass, const LatentAttention& attention, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const LatentConfig& latent = pass.layer_config().latent;
  const int n_heads = pass.layer_config().n_heads;
  pass.resize(pass.q, n_heads * latent.key_len);
  if (latent.q_rank > 0) {
    pass.resize(pass.q_row, latent.q_rank);
    pass.linear("q", weights[Role::attn_q_a], in, pass.q_row);
    pass.norm(pass.q_row, weights[Role::attn_q_a_norm], pass.q_row);
    pass.tap("q", "MUL", pass.q_row);
    pass.linear("q", weights[Role::attn_q_b], pass.q_row, pass.q);
  } else {
    pass.linear("q", weights[Role::attn_q], in, pass.q);
  }
  if (!pass.layer_config().has_rope) return;
  pass.rope(pass.q, n_heads, latent.key_len, n_plain(pass));
  if (!latent.absorbed) pass.tap(attention.query_tap, "ROPE", pass.q, n_heads);
}

// pass.kv_row = the normed row of each token, pass.k_shared = the rotated piece of key.
void make_rows(ForwardPass& pass, const LatentAttention& attention, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  pass.resize(pass.kv_row, pass.layer_config().latent.rank);
  pass.resize(pass.k_shared, pass.config.rope.n_dims);
  pass.resize(pass.both, pass.kv_row.width + pass.k_shared.width);
  const char* row = attention.row_tap;
  pass.linear(row, weights[Role::attn_kv_a_mqa], in, pass.both);
  pass.split(pass.both, pass.kv_row, pass.k_shared);
  if (attention.key_norm) {
    pass.norm(pass.k_shared, weights[Role::attn_k_norm], pass.k_shared);
    pass.tap("k_pe", "MUL", pass.k_shared);
  }
  if (pass.layer_config().has_rope) {
    pass.rope(pass.k_shared, 1, pass.k_shared.width, 0);
    pass.tap("k_pe", "ROPE", pass.k_shared, 1);
  }
  pass.norm(pass.kv_row, weights[Role::attn_kv_a_norm], pass.kv_row);
  pass.tap(attention.latent_tap, "MUL", pass.kv_row);
}

// Keys and values of every head, from the row.
void decompress(ForwardPass& pass, const LatentAttention& attention) {
  const int n_heads = pass.layer_config().n_heads;
  const int plain = n_plain(pass), key_len = pass.layer_config().latent.key_len;
  const int value_len = pass.layer_config().latent.value_len;
  pass.resize(pass.k, n_heads * key_len);
  pass.resize(pass.v, n_heads * value_len);
  pass.resize(pass.both, n_heads * (plain + value_len));
  pass.linear("kv", pass.layer_weights()[Role::attn_kv_b], pass.kv_row, pass.both);
  pass.each_token([&](int64_t token) {
    const float* from = pass.both.row(token);
    float *key = pass.k.row(token), *value = pass.v.row(token);
    for (int head = 0; head < n_heads; ++head) {
      key = std::copy_n(from, plain, key);
      key = std::copy_n(pass.k_shared.row(token), pass.k_shared.width, key);
      value = std::copy_n(from + plain, value_len, value);
      from += plain + value_len;
    }
  });
  pass.tap(attention.key_tap, "CONCAT", pass.k, n_heads);
}

// pass.q becomes what meets the rows; the rows and the shared piece are the one head's keys, the
// rows its values.
void absorb(ForwardPass& pass, const LatentAttention& attention) {
  const int n_heads = pass.layer_config().n_heads, rank = pass.layer_config().latent.rank;
  const int plain = n_plain(pass), key_len = pass.layer_config().latent.key_len;
  const int n_rot = pass.k_shared.width, wide = rank + n_rot;
  pass.resize(pass.both, n_heads * wide);
  pass.product_of_each(pass.layer_weights()[Role::attn_k_b], n_heads, rank, pass.q, pass.both);
  pass.resize(pass.k, wide);
  pass.resize(pass.v, rank);
  pass.each_token([&](int64_t token) {
    for (int head = 0; head < n_heads; ++head) {
      std::copy_n(pass.q.row(token) + int64_t{head} * key_len + plain, n_rot,
                  pass.both.row(token) + int64_t{head} * wide + rank);
    }
    std::copy_n(pass.kv_row.row(token), rank, pass.k.row(token));
    std::copy_n(pass.k_shared.row(token), n_rot, pass.k.row(token) + rank);
    std::copy_n(pass.kv_row.row(token), rank, pass.v.row(token));
  });
  std::swap(pass.q, pass.both);
  pass.tap(attention.query_tap, "CONCAT", pass.q, n_heads);
  pass.tap(attention.key_tap, "CONCAT", pass.k, 1);
}

// What the heads gathered from the rows becomes values: pass.heads.
void release(ForwardPass& pass) {
  const int n_heads = pass.layer_config().n_heads;
  const int value_len = pass.layer_config().latent.value_len;
  pass.resize(pass.both, n_heads * value_len);
  pass.product_of_each(pass.layer_weights()[Role::attn_v_b], n_heads, value_len, pass.heads,
                       pass.both);
  std::swap(pass.heads, pass.both);
}

}  // namespace

void latent_attention_block(ForwardPass& pass, const LatentAttention& attention, const Rows& in) {
  const bool absorbed = pass.layer_config().latent.absorbed;
  make_queries(pass, attention, in);
  make_rows(pass, attention, in);
  const Chosen* chosen = choose_positions(pass, attention.indexer, in);
  absorbed ? absorb(pass, attention) : decompress(pass, attention);
  scale_by_position(pass);
  pass.resize(pass.heads, pass.layer_config().n_heads * pass.layer_config().value_dim);
  pass.attention(pass.q, pass.k, pass.v, pass.heads, chosen);
  if (absorbed) release(pass);
  pass.tap("kqv_out", "CONT", pass.heads);
  if (attention.gate != LatentAttention::Gate::none)
    gate_heads(pass, Attention::Gate::sigmoid, "attn_gate", in);
  pass.linear("attn_out", pass.layer_weights()[Role::attn_output], pass.heads, pass.branch);
}

}  // namespace crossval
