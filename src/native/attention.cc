#include "native/attention.h"

#include <algorithm>
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
  int token, head, kv_len;
};

struct Scratch {
  std::vector<float> q;       // [n_queries, head_dim]
  std::vector<float> scores;  // [n_queries, padded kv_len]
  std::vector<float> out;     // [n_queries, value_stride]
};

void round_to_f16(float* x, int n) {
  for (int i = 0; i < n; ++i) x[i] = f16_to_f32(f32_to_f16(x[i]));
}

void softmax(float* scores, int kv_len, float scale, bool as_f16) {
  for (int j = 0; j < kv_len; ++j) scores[j] *= scale;
  softmax_row(scores, kv_len);
  if (as_f16) round_to_f16(scores, kv_len);
}

// All query rows of some tokens that share one key-value head.
void attend(const AttentionArgs& args, int kv_head, int first_token, int n_tokens, const float* q,
            float* out, Scratch& scratch) {
  const KvCache& cache = args.cache;
  const int head_dim = cache.head_dim();
  const int group = args.n_heads / cache.n_kv_heads();
  const int64_t row_width = static_cast<int64_t>(args.n_heads) * head_dim;
  std::vector<Query> queries;
  for (int token = first_token; token < first_token + n_tokens; ++token) {
    for (int g = 0; g < group; ++g) {
      queries.push_back({token, kv_head * group + g, args.first_position + token + 1});
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
  int kv_common = kv_max;
  for (int i = 0; i < n_queries; ++i) {
    softmax(scratch.scores.data() + static_cast<int64_t>(i) * padded, queries[i].kv_len,
            args.kq_scale, args.round_softmax && cache.v_type() == KvType::f16);
    kv_common = std::min(kv_common, queries[i].kv_len);
  }
  const float* values = cache.values(args.layer, kv_head);
  const int stride = cache.value_stride();
  std::fill(scratch.out.begin(), scratch.out.end(), 0.0f);
  // Lanes are dimensions. First the positions that every query sees, then each query's own rest:
  // a later token's value (which may be NaN) never meets an earlier query, not even times zero.
  for (int dim = 0; dim < stride; dim += kLanes) {
    accumulate_outer({.n_rows = n_queries,
                      .n_terms = kv_common,
                      .a = scratch.scores.data(),
                      .a_stride = padded,
                      .b = values + dim,
                      .b_stride = stride,
                      .out = scratch.out.data() + dim,
                      .out_stride = stride});
    for (int i = 0; i < n_queries; ++i) {
      accumulate_outer({.n_rows = 1,
                        .n_terms = queries[i].kv_len - kv_common,
                        .a = scratch.scores.data() + static_cast<int64_t>(i) * padded + kv_common,
                        .a_stride = padded,
                        .b = values + static_cast<int64_t>(kv_common) * stride + dim,
                        .b_stride = stride,
                        .out = scratch.out.data() + static_cast<int64_t>(i) * stride + dim,
                        .out_stride = stride});
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
  const int n_kv_heads = args.cache.n_kv_heads();
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
