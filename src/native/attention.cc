#include "native/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

constexpr int kLanes = KvCache::kBlockLen;
constexpr int kTokensPerItem = 8;

// One query row of a work item.
struct Query {
  int token, head;
  int kv_first, kv_len;  // sees positions kv_first to kv_len - 1
};

struct Scratch {
  std::vector<float> q;       // [n_queries, head_dim]
  std::vector<float> scores;  // [n_queries, padded kv_len]
  std::vector<float> out;     // [n_queries, value_stride]
};

void round_to_f16(float* x, int n) {
  for (int i = 0; i < n; ++i) x[i] = f16_to_f32(f32_to_f16(x[i]));
}

// ALiBi's slope of a head (arXiv:2108.12409; ggml-cpu/ops.cpp `ggml_compute_forward_soft_max_f32`:
// heads beyond the largest power of two take odd steps of half the size).
float alibi_slope(int head, int n_heads, float max_bias) {
  const int n_pow2 = 1 << static_cast<int>(std::floor(std::log2(n_heads)));
  const float whole = std::pow(2.0f, -max_bias / static_cast<float>(n_pow2));
  const float half = std::pow(2.0f, -(max_bias / 2.0f) / static_cast<float>(n_pow2));
  return head < n_pow2 ? std::pow(whole, static_cast<float>(head + 1))
                       : std::pow(half, static_cast<float>(2 * (head - n_pow2) + 1));
}

// Products of a query with the keys it sees become their weights. What it does not see before them
// stays 0 and is not looked at.
void softmax(const AttentionArgs& args, const Query& query, float* scores) {
  const int first = query.kv_first, n = query.kv_len - first;
  float* seen = scores + first;
  for (int j = 0; j < n; ++j) seen[j] *= args.kq_scale;
  if (args.softcap != 0) {
    for (int j = 0; j < n; ++j) seen[j] = args.softcap * std::tanh(seen[j] / args.softcap);
  }
  if (args.alibi_bias > 0) {
    const float slope = alibi_slope(query.head, args.n_heads, args.alibi_bias);
    for (int j = 0; j < n; ++j) seen[j] += slope * static_cast<float>(j + 1 - n);
  }
  if (args.sinks.empty()) {
    softmax_row(seen, n);
  } else {
    softmax_row_with_sink(seen, n, args.sinks[static_cast<size_t>(query.head)]);
  }
  if (args.round_softmax && args.cache.v_type() == KvType::f16) round_to_f16(seen, n);
}

// All query rows of some tokens that share one key-value head.
void attend(const AttentionArgs& args, int kv_head, int first_token, int n_tokens, const float* q,
            float* out, Scratch& scratch) {
  const KvCache& cache = args.cache;
  const int head_dim = cache.head_dim();
  const int group = args.n_heads / cache.n_kv_heads(args.layer);
  const int64_t row_width = static_cast<int64_t>(args.n_heads) * head_dim;
  std::vector<Query> queries;
  for (int token = first_token; token < first_token + n_tokens; ++token) {
    for (int g = 0; g < group; ++g) {
      const int kv_len = args.first_position + (args.causal ? token + 1 : args.n_tokens);
      const int kv_first = !args.causal          ? args.first_position
                           : args.window_len > 0 ? std::max(0, kv_len - args.window_len)
                                                 : 0;
      queries.push_back({token, kv_head * group + g, kv_first, kv_len});
    }
  }
  const int n_queries = static_cast<int>(queries.size());
  const int kv_max = queries.back().kv_len;
  const int padded = (kv_max + kLanes - 1) / kLanes * kLanes;
  scratch.q.resize(static_cast<size_t>(n_queries) * head_dim);
  scratch.scores.resize(static_cast<size_t>(n_queries) * padded);
  scratch.out.resize(static_cast<size_t>(n_queries) * cache.value_stride());
  for (int i = 0; i < n_queries; ++i) {
    const Query& query = queries[i];
    float* copy = scratch.q.data() + static_cast<int64_t>(i) * head_dim;
    std::memcpy(copy, q + query.token * row_width + query.head * head_dim,
                sizeof(float) * head_dim);
    round_to_kv_type(cache.k_type(), copy, head_dim);  // as ggml's dot product with such keys
  }
  std::fill(scratch.scores.begin(), scratch.scores.end(), 0.0f);
  const float* keys = cache.keys(args.layer, kv_head);
  for (int block = 0; block * kLanes < kv_max; ++block) {
    // Lanes are positions: scores[i][block] += q[i][dim] * keys[dim][lane], in dim order.
    accumulate_outer({.n_rows = n_queries,
                      .n_terms = head_dim,
                      .a = scratch.q.data(),
                      .a_stride = head_dim,
                      .b = keys + static_cast<int64_t>(block) * head_dim * kLanes,
                      .b_stride = kLanes,
                      .out = scratch.scores.data() + static_cast<int64_t>(block) * kLanes,
                      .out_stride = padded});
  }
  int common_first = 0, common_end = kv_max;
  for (int i = 0; i < n_queries; ++i) {
    softmax(args, queries[i], scratch.scores.data() + static_cast<int64_t>(i) * padded);
    common_first = std::max(common_first, queries[i].kv_first);
    common_end = std::min(common_end, queries[i].kv_len);
  }
  common_end = std::max(common_first, common_end);
  const float* values = cache.values(args.layer, kv_head);
  const int stride = cache.value_stride();
  std::fill(scratch.out.begin(), scratch.out.end(), 0.0f);
  // Lanes are dimensions. The positions that every query sees at once, and before and behind them
  // each query's own rest: a value that a query does not see (which may be NaN) never meets it, not
  // even times zero. For each query the order is that of the positions.
  const auto add_values = [&](int query, int n_rows, int begin, int end, int dim) {
    if (begin >= end) return;
    accumulate_outer({.n_rows = n_rows,
                      .n_terms = end - begin,
                      .a = scratch.scores.data() + static_cast<int64_t>(query) * padded + begin,
                      .a_stride = padded,
                      .b = values + static_cast<int64_t>(begin) * stride + dim,
                      .b_stride = stride,
                      .out = scratch.out.data() + static_cast<int64_t>(query) * stride + dim,
                      .out_stride = stride});
  };
  for (int dim = 0; dim < stride; dim += kLanes) {
    for (int i = 0; i < n_queries; ++i) {
      add_values(i, 1, queries[i].kv_first, std::min(common_first, queries[i].kv_len), dim);
    }
    add_values(0, n_queries, common_first, common_end, dim);
    for (int i = 0; i < n_queries; ++i) {
      add_values(i, 1, std::max(common_end, queries[i].kv_first), queries[i].kv_len, dim);
    }
  }
  for (int i = 0; i < n_queries; ++i) {
    const Query& query = queries[i];
    std::memcpy(out + query.token * row_width + query.head * head_dim,
                scratch.out.data() + static_cast<int64_t>(i) * stride, sizeof(float) * head_dim);
  }
}

}  // namespace

void causal_attention(const AttentionArgs& args, const float* q, float* out, ThreadPool& pool) {
  const int n_kv_heads = args.cache.n_kv_heads(args.layer);
  const int n_parts = (args.n_tokens + kTokensPerItem - 1) / kTokensPerItem;
  std::vector<Scratch> scratch(static_cast<size_t>(pool.n_threads()));
  pool.run(static_cast<int64_t>(n_kv_heads) * n_parts, [&](int64_t item, int thread) {
    const int part = static_cast<int>(item / n_kv_heads);
    const int first = part * kTokensPerItem;
    attend(args, static_cast<int>(item % n_kv_heads), first,
           std::min(kTokensPerItem, args.n_tokens - first), q, out, scratch[thread]);
  });
}

}  // namespace crossval
