// Attention over a window and, before it, over rows that stand for several positions
// (arch/blocks.h CompressedAttention). Source, and of the names of taps: llama.cpp
// src/models/deepseek4.cpp `build_attention_impl`. What it turns by Hadamard matrices stays as it
// is: products do not change.
#include <algorithm>
#include <cmath>

#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

// Elements of a head before those that are rotated.
int n_plain(const ForwardPass& pass, int head_len) { return head_len - pass.config.rope.n_dims; }

void make_queries(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const int n_heads = pass.layer_config().n_heads, head_len = pass.config.head_dim;
  pass.resize(pass.q_row, pass.layer_config().latent.q_rank);
  pass.resize(pass.q, n_heads * head_len);
  pass.linear("qr", weights[Role::attn_q_a], in, pass.q_row);
  pass.norm(pass.q_row, weights[Role::attn_q_a_norm], pass.q_row);
  pass.tap("qr_norm", "MUL", pass.q_row);
  pass.linear(nullptr, weights[Role::attn_q_b], pass.q_row, pass.q);
  pass.norm(pass.q, Weight{}, NormKind::rms, head_len, pass.config.norm_eps, pass.q);
  pass.tap("q_norm", "RMS_NORM", pass.q, n_heads);
  pass.rope(pass.q, n_heads, head_len, n_plain(pass, head_len));
  pass.tap("q", "ROPE", pass.q, n_heads);
}

// Keys, which are values too.
void make_keys(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const int head_len = pass.config.head_dim;
  pass.resize(pass.k, head_len);
  pass.linear(nullptr, weights[Role::attn_kv], in, pass.k);
  pass.norm(pass.k, weights[Role::attn_kv_a_norm], pass.k);
  pass.tap("kv_norm", "MUL", pass.k, 1);
  pass.rope(pass.k, 1, head_len, n_plain(pass, head_len));
  pass.tap("kv", "ROPE", pass.k, 1);
}

struct CompressorWeights {
  const Weight &values, &scores, &position_scores, &norm;
};

// Calls keep(index, row) with the normed and turned row of every block that ends in this batch.
template <typename Keep>
void compress(ForwardPass& pass, const CompressorWeights& weights, int head_len, const Rows& in,
              Compressor& compressor, const Keep& keep) {
  const int ratio = pass.layer_config().ratio;
  const bool overlaps = ratio == CompressedAttention::kShort;
  const int width = overlaps ? 2 * head_len : head_len;
  pass.resize(pass.kv_row, width);
  pass.resize(pass.both, width);
  pass.linear(nullptr, weights.values, in, pass.kv_row);
  pass.linear(nullptr, weights.scores, in, pass.both);
  std::vector<float> row(static_cast<size_t>(head_len));
  for (int token = 0; token < pass.n_tokens; ++token) {
    const int position = pass.first_position + token;
    const float* of_place =
        weights.position_scores.vector.data() + int64_t{position % ratio} * width;
    add_row(of_place, width, pass.both.row(token));
    if (!compressor.add(position, ratio, overlaps, head_len, pass.kv_row.row(token),
                        pass.both.row(token), row.data())) {
      continue;
    }
    rms_norm_row(row.data(), weights.norm.vector.data(), head_len, pass.config.norm_eps,
                 row.data());
    pass.rope_at(position + 1 - ratio, n_plain(pass, head_len), row.data());
    keep(position / ratio, row.data());
  }
}

// What the indexer has to choose by, where it has to choose.
void make_index(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const IndexerConfig& config = pass.config.indexer;
  if (!pass.indexer_keys.are_needed()) return;
  compress(pass,
           {weights[Role::indexer_compressor_kv], weights[Role::indexer_compressor_gate],
            weights[Role::indexer_compressor_ape], weights[Role::indexer_compressor_norm]},
           config.key_len, in, pass.compressors[static_cast<size_t>(pass.layer)].indexer,
           [&](int index, const float* row) {
             float* key = pass.indexer_keys.key(pass.layer, index);
             std::copy_n(row, config.key_len, key);
             round_to_kv_type(pass.k_type(), key, config.key_len);
           });
  IndexScratch& s = pass.index;
  pass.resize(s.q, config.n_heads * config.key_len);
  pass.resize(s.weights, config.n_heads);
  pass.linear("lid_q", weights[Role::indexer_attn_q_b], pass.q_row, s.q);
  pass.rope(s.q, config.n_heads, config.key_len, n_plain(pass, config.key_len));
  pass.tap("lid_q_rope", "ROPE", s.q, config.n_heads);
  pass.linear(nullptr, weights[Role::indexer_proj], in, s.weights);
  pass.scale(1.0f / std::sqrt(static_cast<float>(config.key_len * config.n_heads)), s.weights);
  pass.tap("lid_weights", "SCALE", s.weights);
}

// The window, and of the rows for several positions those that have ended, or the chosen ones of
// them.
void choose(ForwardPass& pass) {
  const int ratio = pass.layer_config().ratio, behind = pass.first_entry_behind();
  const auto position_of = [&](int64_t token) {
    return pass.first_position + static_cast<int>(token);
  };
  pass.chosen.resize(pass.n_tokens, 1, behind + (pass.first_position + pass.n_tokens) / ratio);
  pass.each_token([&](int64_t token) {
    const int position = position_of(token), first = position + 1 - pass.config.window_len;
    uint8_t* seen = pass.chosen.of(token, 0);
    std::fill(seen + std::max(0, first), seen + position + 1, uint8_t{1});
    std::fill_n(seen + behind, (position + 1) / ratio, uint8_t{1});
  });
  if (!pass.layer_config().has_indexer || !pass.indexer_keys.are_needed()) return;
  mark_best_keys(
      pass, [&](int64_t token) { return (position_of(token) + 1) / ratio; },
      [&](int64_t token) { return pass.chosen.of(token, 0) + behind; });
}

// Groups of heads become short rows, and those the result.
void go_back(ForwardPass& pass) {
  const WeightsByRole& weights = pass.layer_weights();
  const auto [n_groups, rank] = pass.config.output_groups;
  pass.resize(pass.both, n_groups * rank);
  pass.product_of_each(weights[Role::attn_output_a], n_groups, rank, pass.heads, pass.both);
  pass.linear("attn_out", weights[Role::attn_output_b], pass.both, pass.branch);
}

}  // namespace

void compressed_attention_block(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const LayerConfig& layer = pass.layer_config();
  const int head_len = pass.config.head_dim;
  make_queries(pass, in);
  make_keys(pass, in);
  if (layer.ratio != 0) {
    compress(pass,
             {weights[Role::compressor_kv], weights[Role::compressor_gate],
              weights[Role::compressor_ape], weights[Role::compressor_norm]},
             head_len, in, pass.compressors[static_cast<size_t>(pass.layer)].attention,
             [&](int index, const float* row) { pass.append_behind(index, row); });
    if (layer.has_indexer) make_index(pass, in);
    choose(pass);
  }
  pass.resize(pass.heads, layer.n_heads * head_len);
  pass.attention(pass.q, pass.k, pass.k, pass.heads, layer.ratio != 0 ? &pass.chosen : nullptr);
  pass.rope_back(pass.heads, layer.n_heads, head_len, n_plain(pass, head_len));
  pass.tap("attn_derope", "ROPE_BACK", pass.heads, layer.n_heads);
  go_back(pass);
}

}  // namespace crossval
