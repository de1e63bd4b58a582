#include "native/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/half.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

constexpr int kLanes = KvCache::kBlockLen;
constexpr int kTokensPerItem = 8;
// Many query heads may share one key (multi-head latent attention): no item takes them all.
constexpr int kHeadsPerItem = 16;

// One query row of a work item.
struct Query {
  int token, head;
  int kv_first, kv_len;   // sees positions kv_first to kv_len - 1
  const uint8_t* chosen;  // of them those that are not 0; null = all
};

struct Scratch {
  std::vector<float> q;       // [n_queries, key_len]
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
  scale_row(args.kq_scale, n, seen);
  if (args.softcap != 0) soft_cap_row(args.softcap, n, seen);
  if (args.alibi_bias > 0) {
    const float slope = alibi_slope(query.head, args.n_heads, args.alibi_bias);
    for (int j = 0; j < n; ++j) seen[j] += slope * static_cast<float>(j + 1 - n);
  }
  if (query.chosen != nullptr) {
    for (int j = 0; j < n; ++j) {
      if (query.chosen[j] == 0) seen[j] = -std::numeric_limits<float>::infinity();
    }
  }
  if (args.sinks.empty()) {
    softmax_row(seen, n);
  } else {
    softmax_row_with_sink(seen, n, args.sinks[static_cast<size_t>(query.head)]);
  }
  if (args.round_softmax && args.cache.v_type() == KvType::f16) round_to_f16(seen, n);
}

// Query heads `first_head`... of some tokens, all of which share one key-value head.
struct Item {
  int kv_head, first_head, n_heads, first_token, n_tokens;
};

std::vector<Query> queries_of(const AttentionArgs& args, const Item& item) {
  std::vector<Query> queries;
  for (int token = item.first_token; token < item.first_token + item.n_tokens; ++token) {
    for (int head = item.first_head; head < item.first_head + item.n_heads; ++head) {
      if (const Chosen* chosen = args.chosen) {
        const uint8_t* flags = chosen->of(token, chosen->n_sets == 1 ? 0 : item.kv_head);
        queries.push_back({token, head, 0, chosen->n_entries, flags});
        continue;
      }
      const int kv_len = args.first_position + (args.causal ? token + 1 : args.n_tokens);
      const int kv_first = !args.causal ? args.first_position
                           : args.chunked && args.window_len > 0
                               ? (kv_len - 1) / args.window_len * args.window_len
                           : args.window_len > 0 ? std::max(0, kv_len - args.window_len)
                                                 : 0;
      queries.push_back({token, head, kv_first, kv_len, nullptr});
    }
  }
  return queries;
}

// Calls body(begin, end) for each run of entries that a query chose.
template <typename Body>
void each_run(const Query& query, const Body& body) {
  for (int begin = 0; begin < query.kv_len;) {
    int end = begin;
    while (end < query.kv_len && query.chosen[end] != 0) ++end;
    if (end > begin) body(begin, end);
    begin = end + 1;
  }
}

void attend(const AttentionArgs& args, const Item& item, const float* q, float* out,
            Scratch& scratch) {
  const KvCache& cache = args.cache;
  const int key_len = cache.shape(args.layer).key_len;
  const int value_len = cache.shape(args.layer).value_len;
  const int stride = cache.value_stride(args.layer);
  const int64_t q_width = static_cast<int64_t>(args.n_heads) * key_len;
  const int64_t out_width = static_cast<int64_t>(args.n_heads) * value_len;
  const std::vector<Query> queries = queries_of(args, item);
  const int n_queries = static_cast<int>(queries.size());
  const int kv_max = queries.back().kv_len;
  const int padded = (kv_max + kLanes - 1) / kLanes * kLanes;
  scratch.q.resize(static_cast<size_t>(n_queries) * key_len);
  scratch.scores.resize(static_cast<size_t>(n_queries) * padded);
  scratch.out.resize(static_cast<size_t>(n_queries) * stride);
  for (int i = 0; i < n_queries; ++i) {
    const Query& query = queries[i];
    float* copy = scratch.q.data() + static_cast<int64_t>(i) * key_len;
    std::memcpy(copy, q + query.token * q_width + query.head * key_len, sizeof(float) * key_len);
    round_to_kv_type(cache.k_type(), copy, key_len);  // as ggml's dot product with such keys
  }
  std::fill(scratch.scores.begin(), scratch.scores.end(), 0.0f);
  const float* keys = cache.keys(args.layer, item.kv_head);
  for (int block = 0; block * kLanes < kv_max; ++block) {
    // Lanes are positions: scores[i][block] += q[i][dim] * keys[dim][lane], in dim order.
    accumulate_outer({.n_rows = n_queries,
                      .n_terms = key_len,
                      .a = scratch.q.data(),
                      .a_stride = key_len,
                      .b = keys + static_cast<int64_t>(block) * key_len * kLanes,
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
  const float* values = cache.values(args.layer, item.kv_head);
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
    if (args.chosen != nullptr) {
      for (int i = 0; i < n_queries; ++i) {
        each_run(queries[i], [&](int begin, int end) { add_values(i, 1, begin, end, dim); });
      }
      continue;
    }
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
    std::memcpy(out + query.token * out_width + query.head * value_len,
                scratch.out.data() + static_cast<int64_t>(i) * stride, sizeof(float) * value_len);
  }
}

}  // namespace

void Chosen::resize(int n_tokens, int n_sets_in, int n_entries_in) {
  n_sets = n_sets_in;
  n_entries = n_entries_in;
  flags.assign(
      static_cast<size_t>(n_tokens) * static_cast<size_t>(n_sets) * static_cast<size_t>(n_entries),
      0);
}

void causal_attention(const AttentionArgs& args, const float* q, float* out, ThreadPool& pool) {
  const int n_kv_heads = args.cache.shape(args.layer).n_heads;
  const int group = args.n_heads / n_kv_heads;
  const int parts_of_group = (group + kHeadsPerItem - 1) / kHeadsPerItem;
  std::vector<Item> items;
  for (int token = 0; token < args.n_tokens; token += kTokensPerItem) {
    for (int part = 0; part < n_kv_heads * parts_of_group; ++part) {
      const int kv_head = part / parts_of_group, first = part % parts_of_group * kHeadsPerItem;
      items.push_back({.kv_head = kv_head,
                       .first_head = kv_head * group + first,
                       .n_heads = std::min(kHeadsPerItem, group - first),
                       .first_token = token,
                       .n_tokens = std::min(kTokensPerItem, args.n_tokens - token)});
    }
  }
  std::vector<Scratch> scratch(static_cast<size_t>(pool.n_threads()));
  pool.run(static_cast<int64_t>(items.size()), [&](int64_t item, int thread) {
    attend(args, items[static_cast<size_t>(item)], q, out, scratch[thread]);
  });
}

}  // namespace crossval
