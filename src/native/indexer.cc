// Indexers: which of the positions before it a token sees. llama.cpp turns queries and keys of some
// by a Hadamard matrix, which leaves their products as they are (src/models/deepseek32.cpp, and of
// the names of taps; minimax-m3.cpp).
#include "native/indexer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

float product(const float* a, const float* b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

// Marks the `n` highest scores; NaN is the lowest. Nothing says which of equal ones are taken where
// not all are: those that ggml takes, which sorts so (ggml-cpu/ops.cpp
// `ggml_compute_forward_top_k_f32`).
void mark_best(std::vector<float>& scores, int n, uint8_t* marks) {
  std::fill_n(marks, scores.size(), uint8_t{0});
  for (float& score : scores) score = std::isnan(score) ? kNever : score;
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + n, order.end(), [&](int a, int b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  for (int i = 0; i < n; ++i) marks[order[static_cast<size_t>(i)]] = 1;
}

// Queries, in pass.index.q, and the batch's keys, behind those before, are turned by position.
void turn(ForwardPass& pass, const Indexer& indexer) {
  const IndexerConfig& config = pass.config.indexer;
  const RopeStyle style = indexer.rope == RopeStyle::none ? pass.config.rope.style : indexer.rope;
  const int offset = indexer.rotates_end ? config.key_len - pass.config.rope.n_dims : 0;
  pass.rope(pass.index.q, config.n_heads, config.key_len, offset, style);
  pass.tap("indexer_q", "ROPE", pass.index.q, config.n_heads);
  pass.rope(pass.index.k, 1, config.key_len, offset, style);
  pass.tap("indexer_k", "ROPE", pass.index.k, 1);
}

// As the cache holds keys, and ggml's product with such keys their queries.
void keep_keys(ForwardPass& pass) {
  const IndexerConfig& config = pass.config.indexer;
  pass.each_token([&](int64_t token) {
    float* key = pass.indexer_keys.key(pass.layer, pass.first_position + static_cast<int>(token));
    std::copy_n(pass.index.k.row(token), config.key_len, key);
    round_to_kv_type(pass.k_type(), key, config.key_len);
    for (int head = 0; head < config.n_heads; ++head) {
      round_to_kv_type(pass.k_type(), pass.index.q.row(token) + head * config.key_len,
                       config.key_len);
    }
  });
}

void choose_by_sum(ForwardPass& pass, const Indexer& indexer, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const IndexerConfig& config = pass.config.indexer;
  IndexScratch& s = pass.index;
  pass.linear(nullptr, weights[Role::indexer_attn_q_b], pass.q_row, s.q);
  pass.linear(nullptr, weights[Role::indexer_attn_k], in, s.k);
  pass.norm(s.k, weights[Role::indexer_k_norm], NormKind::layer, config.key_len, config.norm_eps,
            s.k);
  pass.resize(s.weights, config.n_heads);
  pass.linear("indexer_weights", weights[Role::indexer_proj], in, s.weights);
  pass.scale(1.0f / std::sqrt(static_cast<float>(config.key_len * config.n_heads)), s.weights);
  turn(pass, indexer);
  keep_keys(pass);
  mark_best_keys(
      pass, [&](int64_t token) { return pass.first_position + static_cast<int>(token) + 1; },
      [&](int64_t token) { return pass.chosen.of(token, 0); });
}

// Of one head: the blocks that a token sees, whole but for what comes after it.
void choose_blocks(const ForwardPass& pass, const float* query, int n, uint8_t* seen) {
  const IndexerConfig& config = pass.config.indexer;
  const int length = config.block_len, latest = (n - 1) / length;
  std::vector<uint8_t> marks(static_cast<size_t>(latest) + 1, 1);
  if (latest >= config.n_seen) {
    std::vector<float> scores(marks.size(), kNever);
    for (int position = 0; position < n; ++position) {
      float& best = scores[static_cast<size_t>(position / length)];
      best = std::max(best,
                      product(query, pass.indexer_keys.key(pass.layer, position), config.key_len));
    }
    for (int block = std::max(0, latest - config.n_latest + 1); block <= latest; ++block)
      scores[static_cast<size_t>(block)] = -kNever;
    mark_best(scores, config.n_seen, marks.data());
  }
  for (int position = 0; position < n; ++position)
    seen[position] = marks[static_cast<size_t>(position / length)];
}

void choose_by_block(ForwardPass& pass, const Indexer& indexer, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const IndexerConfig& config = pass.config.indexer;
  IndexScratch& s = pass.index;
  pass.linear(nullptr, weights[Role::indexer_q_proj], in, s.q);
  pass.linear(nullptr, weights[Role::indexer_k_proj], in, s.k);
  pass.norm(s.q, weights[Role::indexer_q_norm], NormKind::rms, config.key_len, config.norm_eps,
            s.q);
  pass.norm(s.k, weights[Role::indexer_k_norm], NormKind::rms, config.key_len, config.norm_eps,
            s.k);
  turn(pass, indexer);
  keep_keys(pass);
  pass.each_token([&](int64_t token) {
    const int n = pass.first_position + static_cast<int>(token) + 1;
    for (int head = 0; head < config.n_heads; ++head) {
      choose_blocks(pass, s.q.row(token) + head * config.key_len, n, pass.chosen.of(token, head));
    }
  });
}

// The batch's keys, and where a block has become whole, at its first position the mean of its keys,
// normed and turned by that position: in all sections, unlike a token.
void keep_means(ForwardPass& pass, int length) {
  const int n = pass.config.indexer.key_len;
  RopeConfig rope = pass.config.rope;
  rope.sections = {};
  const VectorWeight& norm = pass.layer_weights()[Role::indexer_k_norm].vector;
  for (int token = 0; token < pass.n_tokens; ++token) {
    const int position = pass.first_position + token, first = position + 1 - length;
    float* key = pass.indexer_keys.key(pass.layer, position);
    std::copy_n(pass.index.k.row(token), n, key);
    round_to_kv_type(pass.k_type(), key, n);
    if ((position + 1) % length != 0) continue;
    float* mean = pass.indexer_keys.key(pass.layer, first);
    for (int i = 1; i < length; ++i) add_row(pass.indexer_keys.key(pass.layer, first + i), n, mean);
    scale_row(1.0f / static_cast<float>(length), n, mean);
    rms_norm_row(mean, norm.data(), n, pass.config.indexer.norm_eps, mean);
    rotate_head(make_rope_table(rope, nullptr, first, 1), rope.style, 0, mean);
  }
}

// By whole blocks, whose positions share a score, but for the last that fit; what comes behind the
// last whole block is seen.
void choose_by_mean(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const IndexerConfig& config = pass.config.indexer;
  const int length = pass.layer_config().ratio;
  IndexScratch& s = pass.index;
  pass.linear(nullptr, weights[Role::indexer_q_proj], in, s.q);
  pass.linear("indexer_k_raw", weights[Role::indexer_k_proj], in, s.k);
  pass.norm(s.q, weights[Role::indexer_q_norm], NormKind::rms, config.key_len, config.norm_eps,
            s.q);
  pass.rope(s.q, config.n_heads, config.key_len, 0);
  pass.tap("indexer_q", "ROPE", s.q, config.n_heads);
  keep_means(pass, length);
  pass.each_token([&](int64_t token) {
    const int n = pass.first_position + static_cast<int>(token) + 1, n_whole = n / length * length;
    const int64_t n_seen = int64_t{config.n_seen} + length - 1;
    uint8_t* seen = pass.chosen.of(token, 0);
    if (n <= n_seen) {
      std::fill_n(seen, n, uint8_t{1});
      return;
    }
    std::vector<float> scores(static_cast<size_t>(n), -kNever);
    for (int position = 0; position < n_whole; ++position) {
      float& score = scores[static_cast<size_t>(position)];
      if (position % length != 0) {
        score = scores[static_cast<size_t>(position - 1)];
        continue;
      }
      score = 0;
      for (int head = 0; head < config.n_heads; ++head) {
        score += std::max(product(s.q.row(token) + head * config.key_len,
                                  pass.indexer_keys.key(pass.layer, position), config.key_len),
                          0.0f);
      }
    }
    mark_best(scores, static_cast<int>(n_seen), seen);
  });
}

}  // namespace

void mark_best_keys(ForwardPass& pass, const std::function<int(int64_t token)>& n_keys,
                    const std::function<uint8_t*(int64_t token)>& marks) {
  const IndexerConfig& config = pass.config.indexer;
  pass.each_token([&](int64_t token) {
    const int n = n_keys(token);
    if (n <= config.n_seen) {
      std::fill_n(marks(token), n, uint8_t{1});
      return;
    }
    std::vector<float> scores(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) {
      const float* key = pass.indexer_keys.key(pass.layer, i);
      float score = 0;
      for (int head = 0; head < config.n_heads; ++head) {
        const float* query = pass.index.q.row(token) + head * config.key_len;
        score += std::max(product(query, key, config.key_len), 0.0f) *
                 pass.index.weights.row(token)[head];
      }
      scores[static_cast<size_t>(i)] = score;
    }
    mark_best(scores, config.n_seen, marks(token));
  });
}

void IndexerKeys::reset(const Config& config, int n_ctx) {
  keys_.clear();
  if (config.indexer.n_seen == 0 || n_ctx < config.indexer.n_thinned()) return;
  key_len_ = config.indexer.key_len;
  keys_.resize(config.layers.size());
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    if (!config.layers[layer].has_indexer) continue;
    keys_[layer].resize(static_cast<size_t>(n_ctx) * static_cast<size_t>(key_len_));
  }
}

const Chosen* choose_positions(ForwardPass& pass, const Indexer& indexer, const Rows& in) {
  const LayerConfig& layer = pass.layer_config();
  if (indexer.kind == Indexer::Kind::none || !pass.indexer_keys.are_needed() || layer.has_window)
    return nullptr;
  if (!layer.has_indexer) {
    return indexer.only_with_experts || pass.chosen.n_entries == 0 ? nullptr : &pass.chosen;
  }
  const IndexerConfig& config = pass.config.indexer;
  const bool is_by_head = indexer.kind == Indexer::Kind::best_block;
  pass.resize(pass.index.q, config.n_heads * config.key_len);
  pass.resize(pass.index.k, config.key_len);
  pass.chosen.resize(pass.n_tokens, is_by_head ? config.n_heads : 1,
                     pass.first_position + pass.n_tokens);
  if (is_by_head) {
    choose_by_block(pass, indexer, in);
  } else if (indexer.kind == Indexer::Kind::mean_block) {
    choose_by_mean(pass, in);
  } else {
    choose_by_sum(pass, indexer, in);
  }
  return &pass.chosen;
}

}  // namespace crossval
