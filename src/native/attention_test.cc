// Attention against a plain double loop, and its independence of how the tokens are cut.
#include "native/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace crossval {
namespace {

struct Case {
  int n_heads, n_kv_heads, head_dim, n_tokens;
  int value_len = head_dim;
};

struct Data {
  explicit Data(const Case& c) : q(c.n_tokens * c.n_heads * c.head_dim) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    k.resize(static_cast<size_t>(c.n_tokens) * c.n_kv_heads * c.head_dim);
    v.resize(static_cast<size_t>(c.n_tokens) * c.n_kv_heads * c.value_len);
    for (auto* x : {&q, &k, &v}) {
      for (float& value : *x) value = normal(random);
    }
  }
  std::vector<float> q, k, v;
};

// Evaluates in pieces of `cut` tokens with `n_threads` threads.
std::vector<float> run(const Case& c, const Data& data, int cut, int n_threads) {
  KvCache cache({{c.n_kv_heads, c.head_dim, c.value_len}}, KvType::f32, KvType::f32);
  cache.reset(c.n_tokens);
  ThreadPool pool(n_threads);
  std::vector<float> out(static_cast<size_t>(c.n_tokens) * c.n_heads * c.value_len);
  const int q_width = c.n_heads * c.head_dim, out_width = c.n_heads * c.value_len;
  const int k_width = c.n_kv_heads * c.head_dim, v_width = c.n_kv_heads * c.value_len;
  for (int first = 0; first < c.n_tokens; first += cut) {
    const int n = std::min(cut, c.n_tokens - first);
    cache.append(0, first, n, data.k.data() + first * k_width, data.v.data() + first * v_width);
    causal_attention({cache, 0, c.n_heads, 0.25f, first, n}, data.q.data() + first * q_width,
                     out.data() + first * out_width, pool);
  }
  return out;
}

const Case kCases[] = {{9, 3, 64, 45}, {4, 4, 20, 33},     {8, 1, 16, 18},
                       {1, 1, 7, 5},   {4, 2, 24, 19, 16}, {40, 1, 18, 11, 32}};

TEST(CausalAttention, MatchesADoubleReference) {
  for (const Case& c : kCases) {
    const Data data(c);
    const std::vector<float> out = run(c, data, c.n_tokens, 2);
    const int group = c.n_heads / c.n_kv_heads;
    for (int t = 0; t < c.n_tokens; ++t) {
      for (int h = 0; h < c.n_heads; ++h) {
        const float* q = data.q.data() + (t * c.n_heads + h) * c.head_dim;
        std::vector<double> p(static_cast<size_t>(t) + 1);
        double sum = 0;
        for (int j = 0; j <= t; ++j) {
          const float* k = data.k.data() + (j * c.n_kv_heads + h / group) * c.head_dim;
          double dot = 0;
          for (int d = 0; d < c.head_dim; ++d) dot += static_cast<double>(q[d]) * k[d];
          sum += p[static_cast<size_t>(j)] = std::exp(0.25 * dot);
        }
        for (int d = 0; d < c.value_len; ++d) {
          double expected = 0;
          for (int j = 0; j <= t; ++j) {
            expected +=
                p[static_cast<size_t>(j)] / sum *
                data.v[static_cast<size_t>((j * c.n_kv_heads + h / group) * c.value_len + d)];
          }
          EXPECT_NEAR(out[static_cast<size_t>((t * c.n_heads + h) * c.value_len + d)], expected,
                      2e-6);
        }
      }
    }
  }
}

TEST(CausalAttention, IsTheSameForAnyCutAndAnyNumberOfThreads) {
  for (const Case& c : kCases) {
    const Data data(c);
    const std::vector<float> whole = run(c, data, c.n_tokens, 1);
    for (int cut : {1, 3, 8, 17}) EXPECT_EQ(run(c, data, cut, 2), whole) << cut;
  }
}

TEST(CausalAttention, ALaterNanNeverReachesAnEarlierToken) {
  const Case c{6, 2, 16, 20};
  Data data(c);
  const std::vector<float> clean = run(c, data, c.n_tokens, 2);
  const int bad_token = 13, width = c.n_kv_heads * c.head_dim;
  for (int i = 0; i < width; ++i) {
    data.v[static_cast<size_t>(bad_token * width + i)] = NAN;
    data.k[static_cast<size_t>(bad_token * width + i)] = NAN;
  }
  const std::vector<float> out = run(c, data, c.n_tokens, 2);
  const size_t first_bad = static_cast<size_t>(bad_token) * c.n_heads * c.head_dim;
  for (size_t i = 0; i < out.size(); ++i) {
    if (i < first_bad) {
      EXPECT_EQ(out[i], clean[i]);
    } else {
      EXPECT_TRUE(std::isnan(out[i]));
    }
  }
}

// As over a cache that holds nothing but what was chosen; the rest may be NaN.
TEST(CausalAttention, OnlyChosenEntriesAreSeen) {
  const Case c{4, 2, 16, 21};
  Data data(c);
  const int width = c.n_kv_heads * c.head_dim, out_width = c.n_heads * c.head_dim;
  const std::vector<int> chosen = {0, 1, 5, 11, 16, 17, 20};
  const Case fewer{4, 2, 16, static_cast<int>(chosen.size())};
  Data few(fewer);
  Chosen flags;
  flags.resize(1, 1, c.n_tokens);
  for (size_t i = 0; i < chosen.size(); ++i) {
    flags.of(0, 0)[chosen[i]] = 1;
    std::copy_n(&data.k[static_cast<size_t>(chosen[i] * width)], width, &few.k[i * width]);
    std::copy_n(&data.v[static_cast<size_t>(chosen[i] * width)], width, &few.v[i * width]);
  }
  for (int position = 0; position < c.n_tokens; ++position) {
    if (flags.of(0, 0)[position] != 0) continue;
    std::fill_n(&data.k[static_cast<size_t>(position * width)], width, NAN);
    std::fill_n(&data.v[static_cast<size_t>(position * width)], width, NAN);
  }
  ThreadPool pool(1);
  const auto attend = [&](const Data& from, int n, const Chosen* only) {
    KvCache cache({{c.n_kv_heads, c.head_dim, c.head_dim}}, KvType::f32, KvType::f32);
    cache.reset(n);
    cache.append(0, 0, n, from.k.data(), from.v.data());
    std::vector<float> out(static_cast<size_t>(out_width));
    AttentionArgs args{cache, 0, c.n_heads, 0.25f, n - 1, 1};
    args.chosen = only;
    causal_attention(args, data.q.data(), out.data(), pool);
    return out;
  };
  const std::vector<float> seen = attend(data, c.n_tokens, &flags);
  const std::vector<float> alone = attend(few, fewer.n_tokens, nullptr);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_NEAR(seen[i], alone[i], 1e-6);
}

}  // namespace
}  // namespace crossval
