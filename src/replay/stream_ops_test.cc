// Hyper connections, the indexer, pooling and what only moves or makes values, against plain loops
// in f32, written after ggml-cpu/ops.cpp.
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
using testing::halves;
using testing::integers;
using testing::random_floats;
using testing::replayed;
using testing::Shape;
using testing::tap_of;

TEST(ReplayHyperConnection, Comb) {
  constexpr size_t n_mixes = 24, tokens = 5;
  const float eps = 1e-6f;
  const Floats x = random_floats(n_mixes * tokens, 30, 2), scale = {1, 1, 0.7f},
               base = random_floats(n_mixes, 31);
  Floats y;
  for (size_t t = 0; t < tokens; ++t) {
    float comb[4][4];
    for (size_t from = 0; from < 4; ++from) {
      float largest = -INFINITY, sum = 0;
      for (size_t to = 0; to < 4; ++to) {
        const size_t i = 8 + from * 4 + to;
        comb[from][to] = x[t * n_mixes + i] * scale[2] + base[i];
        largest = std::max(largest, comb[from][to]);
      }
      for (float& one : comb[from]) sum += one = std::exp(one - largest);
      for (float& one : comb[from]) one = one * (1 / sum) + eps;
    }
    for (int i = 0; i < 39; ++i) {  // columns first, and last
      for (size_t line = 0; line < 4; ++line) {
        float sum = eps;
        const auto at = [&](size_t k) -> float& {
          return i % 2 == 0 ? comb[k][line] : comb[line][k];
        };
        for (size_t k = 0; k < 4; ++k) sum += at(k);
        for (size_t k = 0; k < 4; ++k) at(k) *= 1 / sum;
      }
    }
    y.insert(y.end(), &comb[0][0], &comb[0][0] + 16);
  }
  const Tap tap = tap_of("DSV4_HC_COMB", floats({4, 4, tokens, 1}, y),
                         {floats({n_mixes, tokens, 1, 1}, x), floats({3, 1, 1, 1}, scale),
                          floats({n_mixes, 1, 1, 1}, base)},
                         {bits(eps), 20});
  expect_checked(tap, {0, 37, 79});
  Tap fewer = tap;
  fewer.params[1] = 1;
  EXPECT_GT(replayed(fewer).ratio, 100);
  ThreadPool pool(1);
  fewer.params[1] = 1 << 30;
  EXPECT_EQ(replay(fewer, WeightSource(), pool).status, ReplayStatus::bad_shape);
}

TEST(ReplayHyperConnection, PreAndPost) {
  constexpr size_t n = 24, streams = 4, tokens = 6;
  const Floats x = random_floats(n * streams * tokens, 32);
  for (const bool is_gated : {false, true}) {
    const Floats w = random_floats((is_gated ? n : 1) * streams * tokens, 33);
    Floats y;
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t i = 0; i < n; ++i) {
        float sum = 0;
        for (size_t h = 0; h < streams; ++h) {
          const size_t at = (t * streams + h) * n + i;
          sum += x[at] * (is_gated ? 1 / (1 + std::exp(-w[at])) : w[t * streams + h]);
        }
        y.push_back(0.3f * sum);
      }
    }
    const Shape gates = {n, streams, tokens, 1}, weights = {streams, tokens, 1, 1};
    const Tap tap = tap_of("DSV4_HC_PRE", floats({n, tokens, 1, 1}, y),
                           {floats(gates, x), floats(is_gated ? gates : weights, w)},
                           {bits(0.3f), is_gated ? 1 : 0});
    expect_checked(tap, {0, 100});
    expect_refused(tap);
  }
  const Floats one = random_floats(n * tokens, 34), post = random_floats(streams * tokens, 35),
               comb = random_floats(streams * streams * tokens, 36);
  for (const bool has_comb : {false, true}) {
    Floats y;
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t to = 0; to < streams; ++to) {
        for (size_t i = 0; i < n; ++i) {
          float sum = one[t * n + i] * post[t * streams + to];
          if (!has_comb) sum += x[(t * streams + to) * n + i];
          for (size_t from = 0; has_comb && from < streams; ++from) {
            sum += x[(t * streams + from) * n + i] * comb[(t * streams + from) * streams + to];
          }
          y.push_back(sum);
        }
      }
    }
    std::vector<TapTensor> sources = {floats({n, tokens, 1, 1}, one),
                                      floats({n, streams, tokens, 1}, x),
                                      floats({streams, tokens, 1, 1}, post)};
    if (has_comb) sources.push_back(floats({streams, streams, tokens, 1}, comb));
    const Tap tap = tap_of("DSV4_HC_POST", floats({n, streams, tokens, 1}, y), sources);
    expect_checked(tap, {0, 333});
    expect_refused(tap);
  }
}

TEST(ReplayLightningIndexer, ScoresOfHeads) {
  constexpr size_t n = 64, heads = 4, tokens = 5, streams = 2, positions = 7;
  const Floats q = random_floats(n * heads * tokens * streams, 40),
               k = random_floats(n * positions * streams, 41),
               w = random_floats(heads * tokens * streams, 42);
  Floats mask(positions * tokens, 0), y;
  for (size_t i = 0; i < mask.size(); i += 3) mask[i] = -INFINITY;
  for (size_t row = 0; row < tokens * streams; ++row) {
    for (size_t p = 0; p < positions; ++p) {
      float score = 0;
      for (size_t h = 0; h < heads; ++h) {
        float product = 0;
        for (size_t i = 0; i < n; ++i) {
          product += q[(row * heads + h) * n + i] * k[(row / tokens * positions + p) * n + i];
        }
        score += std::max(product, 0.0f) * w[row * heads + h];
      }
      y.push_back(score + mask[row % tokens * positions + p]);
    }
  }
  const Tap tap =
      tap_of("LIGHTNING_INDEXER", floats({positions, tokens, 1, streams}, y),
             {floats({n, heads, tokens, streams}, q), floats({n, 1, positions, streams}, k),
              floats({heads, tokens, 1, streams}, w), halves({positions, tokens, 1, 1}, mask)});
  expect_checked(tap, {2, 67});
  expect_refused(tap);
}

TEST(ReplayTriangular, SumsTrianglesAndSolutions) {
  constexpr size_t n = 24, k = 16, batches = 3;
  const Floats x = random_floats(n * n * batches, 60);
  Floats sums = x, lower = x, upper = x, solved = random_floats(k * n * batches, 61);
  Floats triangle = random_floats(n * n * batches, 62, 0.3f);
  for (size_t at = 0; at < x.size(); ++at) {
    const size_t column = at % n, row = at / n % n;
    if (column > 0) sums[at] += sums[at - 1];
    if (column > row) lower[at] = 0;
    if (column <= row) upper[at] = 0;
    if (column == row) triangle[at] = 1.5f;
  }
  const Shape square = {n, n, batches, 1}, wide = {k, n, batches, 1};
  expect_checked(tap_of("CUMSUM", floats(square, sums), {floats(square, x)}), {4, 700});
  EXPECT_TRUE(replayed(tap_of("TRI", floats(square, lower), {floats(square, x)}, {2})).passes());
  EXPECT_FALSE(replayed(tap_of("TRI", floats(square, lower), {floats(square, x)}, {3})).passes());
  EXPECT_TRUE(replayed(tap_of("TRI", floats(square, upper), {floats(square, x)}, {1})).passes());
  EXPECT_FALSE(replayed(tap_of("TRI", floats(square, upper), {floats(square, x)}, {0})).passes());
  const Floats right = solved;
  for (size_t batch = 0; batch < batches; ++batch) {
    for (size_t column = 0; column < k; ++column) {
      for (size_t i = 0; i < n; ++i) {
        float sum = 0;
        for (size_t t = 0; t < i; ++t) {
          sum += triangle[(batch * n + i) * n + t] * solved[(batch * n + t) * k + column];
        }
        float& one = solved[(batch * n + i) * k + column];
        one = (one - sum) / triangle[(batch * n + i) * n + i];
      }
    }
  }
  const Tap tap =
      tap_of("SOLVE_TRI", floats(wide, solved), {floats(square, triangle), floats(wide, right)});
  expect_checked(tap, {3, 500});
  expect_refused(tap);
}

TEST(ReplayRows, SetAndArgmax) {
  const TapTensor x = floats({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6}), part = floats({2, 1, 1, 1}, {7, 8});
  const TapTensor y = floats({3, 2, 1, 1}, {1, 2, 3, 4, 7, 8});
  EXPECT_TRUE(replayed(tap_of("SET", y, {x, part}, {12, 24, 24, 16})).passes());
  EXPECT_FALSE(replayed(tap_of("SET", y, {x, part}, {12, 24, 24, 12})).passes());
  ThreadPool pool(1);
  EXPECT_EQ(replay(tap_of("SET", y, {x, part}, {12, 24, 24, 20}), WeightSource(), pool).status,
            ReplayStatus::bad_shape);
  EXPECT_TRUE(replayed(tap_of("ARGMAX", integers({2, 1, 1, 1}, {2, 2}), {x})).passes());
  EXPECT_FALSE(replayed(tap_of("ARGMAX", integers({2, 1, 1, 1}, {2, 1}), {x})).passes());
  const TapTensor ties = floats({3, 1, 1, 1}, {4, 1, 4});
  EXPECT_TRUE(replayed(tap_of("ARGMAX", integers({1, 1, 1, 1}, {2}), {ties})).passes());
  EXPECT_TRUE(replayed(tap_of("ARGMAX", integers({1, 1, 1, 1}, {0}), {ties})).passes());
}

TEST(ReplayUnary, XieluAndWholeNumbers) {
  const float n = 0.9f, p = 0.6f, beta = 0.5f, eps = -1e-6f;
  const Floats x = random_floats(64, 63, 2);
  Floats y = x, whole = x;
  for (float& value : y) {
    value = value > 0 ? p * value * value + beta * value
                      : (std::expm1(std::min(value, eps)) - value) * n + beta * value;
  }
  const Shape shape = {64, 1, 1, 1};
  std::vector<int32_t> params = {0, bits(n), bits(p), bits(beta), bits(eps)};
  expect_checked(tap_of("XIELU", floats(shape, y), {floats(shape, x)}, params), {0, 1, 2, 3});
  for (float& value : whole) value = std::round(value);
  EXPECT_TRUE(replayed(tap_of("ROUND", floats(shape, whole), {floats(shape, x)})).passes());
  EXPECT_FALSE(replayed(tap_of("FLOOR", floats(shape, whole), {floats(shape, x)})).passes());
}

TEST(ReplayPool, MeansAndMaxima) {
  const TapTensor x = floats({4, 2, 1, 1}, {1, 2, 3, 7, 5, 6, 4, 8});
  // Windows of 2 x 2, a step of 2.
  EXPECT_TRUE(
      replayed(tap_of("POOL_2D", floats({2, 1, 1, 1}, {3.5f, 5.5f}), {x}, {1, 2, 2, 2, 2, 0, 0}))
          .passes());
  EXPECT_FALSE(
      replayed(tap_of("POOL_2D", floats({2, 1, 1, 1}, {3.5f, 5.501f}), {x}, {1, 2, 2, 2, 2, 0, 0}))
          .passes());
  EXPECT_TRUE(replayed(tap_of("POOL_2D", floats({2, 1, 1, 1}, {6, 8}), {x}, {0, 2, 2, 2, 2, 0, 0}))
                  .passes());
  EXPECT_FALSE(replayed(tap_of("POOL_2D", floats({2, 1, 1, 1}, {6, 7}), {x}, {0, 2, 2, 2, 2, 0, 0}))
                   .passes());
  // Padding: a 1D mean leaves it out, a 2D mean counts it.
  const TapTensor row = floats({3, 1, 1, 1}, {2, 4, 6});
  EXPECT_TRUE(
      replayed(tap_of("POOL_1D", floats({2, 1, 1, 1}, {2, 5}), {row}, {1, 2, 2, 1})).passes());
  EXPECT_TRUE(
      replayed(tap_of("POOL_2D", floats({2, 1, 1, 1}, {1, 5}), {row}, {1, 2, 1, 2, 1, 1, 0}))
          .passes());
  ThreadPool pool(1);
  EXPECT_EQ(replay(tap_of("POOL_1D", floats({3, 1, 1, 1}, {2, 5, 6}), {row}, {1, 2, 2, 1}),
                   WeightSource(), pool)
                .status,
            ReplayStatus::bad_shape);
}

TEST(ReplayRows, CacheInIq4Nl) {
  constexpr float kSteps[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};
  for (unsigned seed = 50; seed < 60; ++seed) {
    const Floats x = random_floats(32, seed);
    float largest = 0, products = 0, squares = 0;
    for (const float value : x) largest = std::fabs(value) > std::fabs(largest) ? value : largest;
    size_t codes[32];
    for (size_t i = 0; i < 32; ++i) {
      const float scaled = x[i] * (1 / (largest / -127));
      codes[i] = 0;
      for (size_t k = 1; k < 16; ++k) {
        if (std::fabs(kSteps[k] - scaled) < std::fabs(kSteps[codes[i]] - scaled)) codes[i] = k;
      }
      products += x[i] * x[i] * kSteps[codes[i]] * x[i];
      squares += x[i] * x[i] * kSteps[codes[i]] * kSteps[codes[i]];
    }
    const uint16_t d = f32_to_f16(products / squares);
    std::vector<std::byte> block(18);
    std::memcpy(block.data(), &d, 2);
    for (size_t i = 0; i < 16; ++i) {
      block[2 + i] = static_cast<std::byte>(codes[i] | codes[i + 16] << 4);
    }
    const TapTensor y = {.name = "cache",
                         .type = GgmlType::IQ4_NL,
                         .ne = {32, 1, 1, 1},
                         .is_weight = false,
                         .data = block};
    Tap tap = tap_of("CPY", y, {floats({32, 1, 1, 1}, x)});
    EXPECT_TRUE(replayed(tap).passes());
    tap.out.data.own()[9] ^= std::byte{1};
    EXPECT_FALSE(replayed(tap).passes());
    tap.out.data.own()[9] ^= std::byte{1};
    tap.out.data.own()[0] ^= std::byte{1};
    EXPECT_FALSE(replayed(tap).passes());
  }
}

TEST(ReplayRows, FillArangeRopeBackAndEmptyTensors) {
  const TapTensor x = floats({2, 1, 1, 1}, {1, 2});
  const std::vector<int32_t> range = {bits(1.0f), bits(2.5f), bits(1.0f)};
  EXPECT_TRUE(replayed(tap_of("ARANGE", x, {}, range)).passes());
  EXPECT_FALSE(replayed(tap_of("ARANGE", floats({2, 1, 1, 1}, {1, 3}), {}, range)).passes());
  EXPECT_TRUE(replayed(tap_of("FILL", floats({2, 1, 1, 1}, {3, 3}), {x}, {bits(3.0f)})).passes());
  EXPECT_FALSE(replayed(tap_of("FILL", floats({2, 1, 1, 1}, {3, 2}), {x}, {bits(3.0f)})).passes());
  const float c = std::cos(2.0f), s = std::sin(2.0f);
  const std::vector<int32_t> params = {
      0, 2, 0, 0, 0, bits(100.0f), bits(1.0f), 0, bits(1.0f), bits(32.0f), bits(1.0f)};
  const std::vector<TapTensor> sources = {x, integers({1, 1, 1, 1}, {2})};
  const TapTensor back = floats({2, 1, 1, 1}, {c + 2 * s, 2 * c - s});
  EXPECT_TRUE(replayed(tap_of("ROPE_BACK", back, sources, params)).passes());
  EXPECT_FALSE(replayed(tap_of("ROPE", back, sources, params)).passes());
  ThreadPool pool(1);
  TapTensor empty = x;
  empty.ne = {2, 0, 1, 1};
  empty.data = {};
  EXPECT_EQ(replay(tap_of("GET_ROWS", empty, {x}), WeightSource(), pool).status,
            ReplayStatus::view);
  empty.ne = {0, 1, 1, 1};
  EXPECT_TRUE(replayed(tap_of("CONCAT", x, {empty, x}, {0})).passes());
  EXPECT_FALSE(replayed(tap_of("CONCAT", floats({2, 1, 1, 1}, {1, 3}), {x, empty}, {0})).passes());
}

}  // namespace
}  // namespace crossval
