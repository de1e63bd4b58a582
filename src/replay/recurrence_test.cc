// Recurrences against plain loops in f32, written after ggml-cpu/ops.cpp; and one damaged value of
// each output and each state, which has to be found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "replay/checked_taps.h"

namespace crossval {
namespace {

using testing::bits;
using testing::expect_checked;
using testing::expect_refused;
using testing::Floats;
using testing::floats;
using testing::integers;
using testing::random_floats;
using testing::replayed;
using testing::Shape;
using testing::tap_of;
using testing::uniform;

struct ScanCase {
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t n = 16, dim = 4, heads = 6, groups = 2, tokens = 9, sequences = 2,
                          cells = 3;
  // NOLINTEND(readability-identifier-naming)
  size_t n_decays;  // 1: Mamba 2
  size_t slots;
  Floats s, x, dt, a, b, c;
  std::vector<int32_t> ids = {2, 0};

  ScanCase(size_t decays, size_t n_slots) : n_decays(decays), slots(n_slots) {
    s = random_floats(n * dim * heads * cells, 1);
    x = random_floats(dim * heads * tokens * sequences, 2);
    dt = random_floats(heads * tokens * sequences, 3, 2);
    a = uniform(n_decays * heads, 4, -4, -0.01f);
    b = random_floats(n * groups * tokens * sequences, 5);
    c = random_floats(n * groups * tokens * sequences, 6);
  }

  Tap tap() const {
    const size_t n_state = n * dim * heads;
    Floats y(x.size() + slots * sequences * n_state, 0.5f);
    for (size_t q = 0; q < sequences; ++q) {
      const auto from = s.begin() + static_cast<int64_t>(static_cast<size_t>(ids[q]) * n_state);
      Floats state(from, from + n_state);
      for (size_t t = 0; t < tokens; ++t) {
        for (size_t h = 0; h < heads; ++h) {
          const size_t at = q * tokens + t, g = h / (heads / groups);
          const float soft = std::log(1 + std::exp(dt[at * heads + h]));
          for (size_t d = 0; d < dim; ++d) {
            const float x_dt = x[(at * heads + h) * dim + d] * soft;
            float sum = 0;
            for (size_t i = 0; i < n; ++i) {
              float& one = state[(h * dim + d) * n + i];
              const float decay = std::exp(soft * a[n_decays == 1 ? h : h * n + i]);
              one = one * decay + b[(at * groups + g) * n + i] * x_dt;
              sum += one * c[(at * groups + g) * n + i];
            }
            y[(at * heads + h) * dim + d] = sum;
          }
        }
        const size_t slot = tokens - 1 - t;
        if (slot < slots) {
          std::copy(state.begin(), state.end(),
                    y.begin() + static_cast<int64_t>(x.size() + (slot * sequences + q) * n_state));
        }
      }
    }
    const auto ne = [](size_t i0, size_t i1, size_t i2, size_t i3) {
      return Shape{static_cast<int64_t>(i0), static_cast<int64_t>(i1), static_cast<int64_t>(i2),
                   static_cast<int64_t>(i3)};
    };
    return tap_of(
        "SSM_SCAN", floats(ne(y.size(), 1, 1, 1), y),
        {floats(ne(n, dim, heads, cells), s), floats(ne(dim, heads, tokens, sequences), x),
         floats(ne(heads, tokens, sequences, 1), dt), floats(ne(n_decays, heads, 1, 1), a),
         floats(ne(n, groups, tokens, sequences), b), floats(ne(n, groups, tokens, sequences), c),
         integers(ne(sequences, 1, 1, 1), ids)},
        {static_cast<int32_t>(slots)});
  }
};

TEST(ReplayScan, BothMambasWithTheirStates) {
  for (const size_t decays : {size_t{1}, ScanCase::n}) {
    const ScanCase c(decays, 1);
    expect_checked(c.tap(), {7, c.x.size() - 1, c.x.size() + 11, c.tap().out.data.size() / 4 - 2});
    Tap faulty = c.tap();
    faulty.sources[6] = integers({2, 1, 1, 1}, {2, 1});  // another cell
    EXPECT_GT(replayed(faulty).ratio, 100);
    ThreadPool pool(1);
    faulty.sources[6] = integers({2, 1, 1, 1}, {2, 3});  // none
    EXPECT_EQ(replay(faulty, WeightSource(), pool).status, ReplayStatus::bad_shape);
    faulty.sources[6] = integers({2, 1, 1, 1}, {2, -1});
    EXPECT_EQ(replay(faulty, WeightSource(), pool).status, ReplayStatus::bad_shape);
  }
}

TEST(ReplayScan, SeveralStatesAreKept) {
  const ScanCase few(1, 3), many(1, 12);  // of 9 tokens: three slots stay as they were
  expect_checked(few.tap(), {few.x.size() + 5, few.tap().out.data.size() / 4 - 2});
  expect_checked(many.tap(), {many.x.size() + 5});
}

TEST(ReplayScan, OtherShapesAreRefused) {
  Tap tap = ScanCase(1, 1).tap();
  // More cells than sequences are fine.
  ThreadPool pool(1);
  Tap more = tap;
  more.sources[0].ne[3] += 1;
  more.sources[0].data.own().resize(more.sources[0].data.size() / 3 * 4);
  EXPECT_EQ(replay(more, WeightSource(), pool).status, ReplayStatus::replayed);
  for (size_t i = 1; i < 6; ++i) {
    for (size_t d = 0; d < 4; ++d) {
      Tap bad = tap;
      bad.sources[i].ne[d] += 1;
      bad.sources[i].data = testing::bytes_of(
          std::vector<float>(static_cast<size_t>(bad.sources[i].n_elements()), 0.0f));
      EXPECT_EQ(replay(bad, WeightSource(), pool).status, ReplayStatus::bad_shape) << i << d;
    }
  }
}

struct HeadsCase {
  // NOLINTNEXTLINE(readability-identifier-naming)
  static constexpr size_t n = 32, heads = 3, tokens = 10, sequences = 2, width = n * heads;
  Floats state = random_floats(n * width * sequences, 7);
  Floats v = random_floats(width * tokens, 8), k = random_floats(width * tokens, 9, 0.3f),
         r = random_floats(width * tokens, 10), decay = uniform(width * tokens, 11, 0.3f, 0.999f);

  static TapTensor vectors(const Floats& values) { return floats({n, heads, tokens, 1}, values); }
  TapTensor states() const { return floats({n * width, sequences, 1, 1}, state); }
  static TapTensor result(const Floats& y) {
    return floats({width, tokens + n * sequences, 1, 1}, y);
  }
  // Calls f(sequence * heads + head, offset of the vectors) in the engine's order.
  template <typename F>
  static void each(const F& f) {
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t h = 0; h < heads; ++h) f(t / (tokens / sequences) * heads + h, t * width + h * n);
    }
  }
};

TEST(ReplayRwkv, Wkv6AndGatedLinearAttention) {
  const HeadsCase c;
  const Floats bonus = random_floats(c.width, 12);
  for (const bool is_gla : {false, true}) {
    const float scale = 0.17f;
    Floats y(c.width * c.tokens, 0.0f), s = c.state;
    c.each([&](size_t head, size_t at) {
      for (size_t i = 0; i < c.n; ++i) {
        for (size_t j = 0; j < c.n; ++j) {
          float& one = s[(head * c.n + i) * c.n + j];
          const float kv = c.v[at + j] * c.k[at + i];
          if (is_gla) {
            one = one * c.decay[at + i] + kv;
            y[at + j] += one * (c.r[at + i] * scale);
          } else {
            y[at + j] += (kv * bonus[at % c.width + i] + one) * c.r[at + i];
            one = one * c.decay[at + i] + kv;
          }
        }
      }
    });
    const size_t n_outputs = y.size();
    y.insert(y.end(), s.begin(), s.end());
    std::vector<TapTensor> sources = {c.vectors(c.k), c.vectors(c.v), c.vectors(c.r)};
    if (!is_gla) sources.push_back(floats({c.n, c.heads, 1, 1}, bonus));
    sources.push_back(c.vectors(c.decay));
    sources.push_back(c.states());
    const Tap tap = tap_of(is_gla ? "GATED_LINEAR_ATTN" : "RWKV_WKV6", c.result(y), sources,
                           {is_gla ? bits(scale) : 0});
    expect_checked(tap, {5, n_outputs - 3, n_outputs + 17, y.size() - 1});
    expect_refused(tap);
  }
}

TEST(ReplayDeltaRule, Wkv7) {
  const HeadsCase c;
  Floats a = random_floats(c.width * c.tokens, 13), b(a.size());
  for (size_t at = 0; at < a.size(); at += c.n) {  // -k^ and k^ times a rate, as RWKV has it
    float squares = 0;
    for (size_t i = 0; i < c.n; ++i) squares += a[at + i] * a[at + i];
    for (size_t i = 0; i < c.n; ++i) {
      a[at + i] /= std::sqrt(squares);
      b[at + i] = -a[at + i] * 0.7f;
    }
  }
  Floats y(c.width * c.tokens), s = c.state;
  c.each([&](size_t head, size_t at) {
    for (size_t i = 0; i < c.n; ++i) {
      float* row = s.data() + (head * c.n + i) * c.n;
      float read = 0, sum = 0;
      for (size_t j = 0; j < c.n; ++j) read += a[at + j] * row[j];
      for (size_t j = 0; j < c.n; ++j) {
        row[j] = row[j] * c.decay[at + j] + c.v[at + i] * c.k[at + j] + read * b[at + j];
        sum += row[j] * c.r[at + j];
      }
      y[at + i] = sum;
    }
  });
  const size_t n_outputs = y.size();
  y.insert(y.end(), s.begin(), s.end());
  const Tap tap = tap_of("RWKV_WKV7", c.result(y),
                         {c.vectors(c.r), c.vectors(c.decay), c.vectors(c.k), c.vectors(c.v),
                          c.vectors(a), c.vectors(b), c.states()});
  expect_checked(tap, {5, n_outputs - 3, n_outputs + 17, y.size() - 1});
  expect_refused(tap);
}

// Queries and keys of two heads for the four of the values; gates one per head or one per element.
Tap delta_net_tap(bool has_vector_gate, size_t slots, size_t tokens, bool is_one_token = false) {
  constexpr size_t n = 32, heads = 4, key_heads = 2, sequences = 2;
  const size_t width = n * heads, n_gates = has_vector_gate ? n : 1;
  const auto unit_vectors = [&](unsigned seed) {
    Floats x = random_floats(static_cast<int64_t>(n * key_heads * tokens * sequences), seed);
    for (size_t at = 0; at < x.size(); at += n) {
      float squares = 0;
      for (size_t i = 0; i < n; ++i) squares += x[at + i] * x[at + i];
      for (size_t i = 0; i < n; ++i) x[at + i] /= std::sqrt(squares);
    }
    return x;
  };
  Floats q = unit_vectors(20), k = unit_vectors(21),
         v = random_floats(static_cast<int64_t>(width * tokens * sequences), 22),
         gate = uniform(n_gates * heads * tokens * sequences, 23, -2, -0.001f),
         beta = uniform(heads * tokens * sequences, 24, 0.05f, 1),
         before = random_floats(static_cast<int64_t>(n * width * sequences), 25);
  if (is_one_token) {
    for (Floats* x : {&q, &k, &v, &gate, &beta}) {
      const size_t n_token = x->size() / tokens / sequences;
      for (size_t i = n_token; i < x->size(); ++i) (*x)[i] = (*x)[i - n_token];
    }
  }
  Floats y(width * tokens * sequences + slots * before.size(), 0.25f);
  Floats s = before;
  for (size_t item = 0; item < sequences * heads; ++item) {
    const size_t sequence = item / heads, h = item % heads;
    for (size_t t = 0; t < tokens; ++t) {
      const size_t token = sequence * tokens + t, key = (token * key_heads + h % key_heads) * n,
                   at = token * heads + h;
      for (size_t j = 0; j < n; ++j) {
        float* row = s.data() + (item * n + j) * n;
        float read = 0, sum = 0;
        for (size_t i = 0; i < n; ++i) row[i] *= std::exp(gate[at * n_gates + i % n_gates]);
        for (size_t i = 0; i < n; ++i) read += row[i] * k[key + i];
        const float delta = (v[at * n + j] - read) * beta[at];
        for (size_t i = 0; i < n; ++i) row[i] += k[key + i] * delta;
        for (size_t i = 0; i < n; ++i) sum += row[i] * q[key + i];
        y[at * n + j] = sum * (1 / std::sqrt(static_cast<float>(n)));
      }
      const size_t slot = tokens - 1 - t;
      if (slot >= slots) continue;
      const auto from = s.begin() + static_cast<int64_t>(item * n * n);
      std::copy_n(from, n * n,
                  y.begin() + static_cast<int64_t>(width * tokens * sequences +
                                                   slot * before.size() + item * n * n));
    }
  }
  const auto of = [&](size_t i0, size_t n_heads, const Floats& values) {
    return floats({static_cast<int64_t>(i0), static_cast<int64_t>(n_heads),
                   static_cast<int64_t>(tokens), sequences},
                  values);
  };
  return tap_of(
      "GATED_DELTA_NET",
      floats({width, static_cast<int64_t>((tokens + slots * n) * sequences), 1, 1}, y),
      {of(n, key_heads, q), of(n, key_heads, k), of(n, heads, v), of(n_gates, heads, gate),
       of(1, heads, beta), floats({n, n, heads, sequences}, before)},
      {static_cast<int32_t>(slots)});
}

TEST(ReplayDeltaRule, GatedDeltaNet) {
  for (const bool has_vector_gate : {false, true}) {
    const Tap tap = delta_net_tap(has_vector_gate, 1, 11);
    const size_t n = tap.out.data.size() / sizeof(float);
    expect_checked(tap, {3, 900, n - 5000, n - 1});
    ThreadPool pool(1);
    for (const size_t source : {2, 3, 4, 5}) {
      Tap bad = tap;
      bad.sources[source].ne[1] += 1;
      bad.sources[source].data =
          testing::bytes_of(Floats(static_cast<size_t>(bad.sources[source].n_elements()), 0.0f));
      EXPECT_EQ(replay(bad, WeightSource(), pool).status, ReplayStatus::bad_shape) << source;
    }
    Tap bad = tap;
    bad.params[0] = 1 << 30;
    EXPECT_EQ(replay(bad, WeightSource(), pool).status, ReplayStatus::bad_shape);
  }
}

TEST(ReplayDeltaRule, SeveralStatesAreKeptAndTokensDoNotWidenTheBound) {
  const Tap few = delta_net_tap(false, 3, 8), many = delta_net_tap(false, 6, 4);
  expect_checked(few, {3, few.out.data.size() / 4 - 1});
  expect_checked(many, {3});
  expect_checked(delta_net_tap(true, 1, 300, true), {4 * 32 * 299 + 3}, 0.999f);
  const Tap longer = delta_net_tap(true, 1, 300);
  expect_checked(longer, {4 * 32 * 299 + 3, longer.out.data.size() / 4 - 1});
}

}  // namespace
}  // namespace crossval
