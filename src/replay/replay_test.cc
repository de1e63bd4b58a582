// Each family against formulas written down once more, in f32 and in another order; and the faults
// that the bounds are there for.
#include "replay/replay.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "base/half.h"
#include "quant/matmul.h"
#include "replay/ops.h"
#include "replay/sample_taps.h"

namespace crossval {
namespace {

using testing::bits;
using testing::floats;
using testing::halves;
using testing::integers;
using testing::random_floats;
using testing::replayed;
using testing::Shape;
using testing::tap_of;

// Sums backwards and in f32, as no kernel of ours does.
std::vector<float> plain_product(const std::vector<float>& w, const std::vector<float>& x,
                                 int64_t n, int64_t rows, int64_t tokens) {
  std::vector<float> y;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      float lanes[8] = {};
      for (int64_t k = n - 1; k >= 0; --k) {
        lanes[k % 8] += w[static_cast<size_t>(r * n + k)] * x[static_cast<size_t>(t * n + k)];
      }
      float sum = 0;
      for (const float lane : lanes) sum += lane;
      y.push_back(sum);
    }
  }
  return y;
}

TEST(ReplayMatmul, F32InAnotherOrderPassesAndAChangedWeightDoesNot) {
  constexpr int64_t n = 512, rows = 48, tokens = 16;
  std::vector<float> w = random_floats(n * rows, 1);
  const std::vector<float> x = random_floats(n * tokens, 2);
  const std::vector<float> y = plain_product(w, x, n, rows, tokens);
  const Shape shape = {rows, tokens, 1, 1};
  Tap tap = tap_of("MUL_MAT", floats(shape, y),
                   {floats({n, rows, 1, 1}, w), floats({n, tokens, 1, 1}, x)});
  const Replayed clean = replayed(tap);
  EXPECT_LT(clean.ratio, 0.8);
  EXPECT_GT(clean.ratio, 0.01);  // a bound a hundred times too wide would see nothing
  EXPECT_LT(clean.floor, 2e-6);
  w[7 * n + 5] *= 1.01f;
  tap.sources[0] = floats({n, rows, 1, 1}, w);
  const Replayed faulty = replayed(tap);
  EXPECT_GT(faulty.ratio, 20);
  EXPECT_EQ(faulty.column.index, 7);
}

// Blocks of Q4_1 whose scale and minimum are f16 numbers; as bytes of a weight.
std::vector<std::byte> q4_1_weight(int64_t n_blocks) {
  std::mt19937 engine(3);
  std::vector<std::byte> data;
  for (int64_t block = 0; block < n_blocks; ++block) {
    const uint16_t head[2] = {f32_to_f16(0.01f + 0.0001f * static_cast<float>(engine() % 100)),
                              f32_to_f16(-0.08f - 0.0001f * static_cast<float>(engine() % 100))};
    const auto* bytes = reinterpret_cast<const std::byte*>(head);
    data.insert(data.end(), bytes, bytes + 4);
    for (int i = 0; i < 16; ++i) data.push_back(static_cast<std::byte>(engine() & 0xff));
  }
  return data;
}

struct QuantizedCase {
  // NOLINTNEXTLINE(readability-identifier-naming)
  static constexpr int64_t n = 576, rows = 64, tokens = 24;
  std::vector<std::byte> stored = q4_1_weight(n / 32 * rows);
  std::vector<float> x = random_floats(n * tokens, 4);
  WeightSource weights;
  Tap tap;

  explicit QuantizedCase(Numerics numerics) {
    ThreadPool pool(1);
    std::vector<float> y(static_cast<size_t>(rows * tokens));
    matmul(weight_view(view()), x.data(), n, tokens, y.data(), rows, numerics, pool);
    // The last bit of a sum in another order.
    for (size_t i = 0; i < y.size(); i += 3) y[i] = std::nextafter(y[i], 100.0f);
    tap = tap_of("MUL_MAT", floats({rows, tokens, 1, 1}, y),
                 {TapTensor{.name = "w",
                            .type = GgmlType::Q4_1,
                            .ne = {n, rows, 1, 1},
                            .is_weight = true,
                            .data = {}},
                  floats({n, tokens, 1, 1}, x)});
    weights.substitute("w", view());
  }
  TensorView view() const {
    return {.name = "w", .type = GgmlType::Q4_1, .shape = {n, rows}, .data = stored};
  }
};

TEST(ReplayMatmul, RoundedActivationsAreRecognised) {
  QuantizedCase rounded(Numerics::ggml);
  const Replayed as_ggml = replayed(rounded.tap, rounded.weights);
  EXPECT_TRUE(as_ggml.passes()) << as_ggml.ratio;
  EXPECT_EQ(as_ggml.arithmetic, "q8_1");
  QuantizedCase untouched(Numerics::exact);
  const Replayed as_f32 = replayed(untouched.tap, untouched.weights);
  EXPECT_TRUE(as_f32.passes()) << as_f32.ratio;
  EXPECT_EQ(as_f32.arithmetic, "f32");
}

TEST(ReplayMatmul, UpAndGateInOne) {
  QuantizedCase c(Numerics::ggml);
  const TapValues of_out(c.tap.out);
  std::vector<float> y(of_out.get().begin(), of_out.get().end());
  for (float& value : y) value *= value / (1 + std::exp(-value));
  c.tap = tap_of("FUSED_UP_GATE", floats(c.tap.out.ne, y),
                 {c.tap.sources[0], c.tap.sources[0], c.tap.sources[1]}, {10});
  EXPECT_TRUE(replayed(c.tap, c.weights).passes());
  c.stored[7 * 20 + 5] ^= std::byte{1};
  c.weights.substitute("w", c.view());
  EXPECT_GT(replayed(c.tap, c.weights).ratio, 20);
}

TEST(ReplayMatmul, OneCodeOrTheLastBitOfOneScaleIsFound) {
  QuantizedCase c(Numerics::ggml);
  constexpr int64_t block = QuantizedCase::n / 32 * 9 + 4;  // of row 9
  c.stored[block * 20 + 4 + 3] ^= std::byte{1};
  c.weights.substitute("w", c.view());
  const Replayed code = replayed(c.tap, c.weights);
  EXPECT_GT(code.ratio, 100);
  EXPECT_EQ(code.column.index, 9);
  c.stored[block * 20 + 4 + 3] ^= std::byte{1};
  c.stored[block * 20] ^= std::byte{1};
  c.weights.substitute("w", c.view());
  const Replayed scale = replayed(c.tap, c.weights);
  EXPECT_GT(scale.ratio, 5);
  EXPECT_EQ(scale.column.index, 9);
}

TEST(ReplayMatmul, HeadsShareKeysAsGgmlBroadcasts) {
  constexpr int64_t n = 8, n_kv = 3, tokens = 2, heads = 4, kv_heads = 2;
  const std::vector<float> k = random_floats(n * n_kv * kv_heads, 5);
  const std::vector<float> q = random_floats(n * tokens * heads, 6);
  std::vector<float> y;
  for (int64_t h = 0; h < heads; ++h) {
    const std::vector<float> one_k(k.begin() + h / 2 * n * n_kv,
                                   k.begin() + (h / 2 + 1) * n * n_kv);
    const std::vector<float> one_q(q.begin() + h * n * tokens, q.begin() + (h + 1) * n * tokens);
    const std::vector<float> part = plain_product(one_k, one_q, n, n_kv, tokens);
    y.insert(y.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(
      replayed(tap_of("MUL_MAT", floats({n_kv, tokens, heads, 1}, y),
                      {floats({n, n_kv, kv_heads, 1}, k), floats({n, tokens, heads, 1}, q)}))
          .passes());
}

TEST(ReplayNorm, AnEpsilonTenPercentOffIsFound) {
  constexpr int64_t n = 64;
  const std::vector<float> x = random_floats(n, 7, 0.1f);
  float squares = 0;
  for (const float value : x) squares += value * value;
  const auto with_eps = [&](float eps) {
    std::vector<float> y = x;
    for (float& value : y) value *= 1 / std::sqrt(squares / n + eps);
    return replayed(
        tap_of("RMS_NORM", floats({n, 1, 1, 1}, y), {floats({n, 1, 1, 1}, x)}, {bits(1e-5f)}));
  };
  EXPECT_TRUE(with_eps(1e-5f).passes());
  EXPECT_GT(with_eps(1.1e-5f).ratio, 10);
}

TEST(ReplayNorm, MeanIsTakenAwayAndWeightsMultiply) {
  const Shape shape = {4, 1, 1, 1};
  const TapTensor x = floats(shape, {1, 2, 3, 6});
  const float scale = 1 / std::sqrt(3.5f + 0.5f);  // variance 3.5
  EXPECT_TRUE(
      replayed(tap_of("NORM", floats(shape, {-2 * scale, -scale, 0, 3 * scale}), {x}, {bits(0.5f)}))
          .passes());
  const float rms = 1 / std::sqrt(12.5f);
  const TapTensor y = floats(shape, {rms, -2 * rms, 3 * rms, 12 * rms});
  EXPECT_TRUE(
      replayed(tap_of("FUSED_RMS_NORM", y, {x, floats(shape, {1, -1, 1, 2})}, {0})).passes());
  EXPECT_FALSE(
      replayed(tap_of("FUSED_RMS_NORM", y, {x, floats(shape, {1, 1, 1, 2})}, {0})).passes());
}

TEST(ReplayMatmul, AThirdSourceIsAddedToEveryRow) {
  const auto x = random_floats(8 * 3, 7), w = random_floats(8 * 2, 8);
  std::vector<float> y;
  const std::vector<float> bias = {0.5f, -2};
  for (size_t t = 0; t < 3; ++t) {
    for (size_t r = 0; r < 2; ++r) {
      float sum = 0;
      for (size_t i = 0; i < 8; ++i) sum += w[r * 8 + i] * x[t * 8 + i];
      y.push_back(sum + bias[r]);
    }
  }
  const std::vector<TapTensor> sources = {floats({8, 2, 1, 1}, w), floats({8, 3, 1, 1}, x),
                                          floats({2, 1, 1, 1}, bias)};
  EXPECT_LE(replayed(tap_of("MUL_MAT", floats({2, 3, 1, 1}, y), sources)).ratio, 1);
  auto without = sources;
  without.pop_back();
  EXPECT_GT(replayed(tap_of("MUL_MAT", floats({2, 3, 1, 1}, y), without)).ratio, 100);
}

TEST(ReplayNorm, WeightAndBiasBehindAMean) {
  const std::vector<float> x = {1, 2, 3, 6}, weight = {1, 2, 1, 1}, bias = {0, 0, 0, 5};
  // Mean 3, deviation sqrt(3.5).
  const float s = 1 / std::sqrt(3.5f);
  const std::vector<float> y = {-2 * s, -1 * s * 2, 0, 3 * s + 5};
  const auto with = [&](const std::vector<float>& added) {
    return replayed(tap_of("FUSED_NORM", floats({4, 1, 1, 1}, y),
                           {floats({4, 1, 1, 1}, x), floats({4, 1, 1, 1}, weight),
                            floats({4, 1, 1, 1}, added)}))
        .ratio;
  };
  EXPECT_LE(with(bias), 1);
  EXPECT_GT(with({0, 0, 0, 4.999f}), 10);
}

TEST(ReplayRope, NormalAndNeoxPairs) {
  constexpr int64_t n_dims = 4;
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};  // the last two are not rotated
  const float a = 3, b = 3 * std::pow(100.0f, -0.5f);
  const auto turn = [](float u, float v, float angle) {
    return std::pair{u * std::cos(angle) - v * std::sin(angle),
                     u * std::sin(angle) + v * std::cos(angle)};
  };
  for (const int mode : {0, 2}) {
    const int64_t partner = mode == 0 ? 1 : 2, step = mode == 0 ? 2 : 1;
    std::vector<float> y = x;
    for (int64_t pair = 0; pair < 2; ++pair) {
      const auto i = static_cast<size_t>(pair * step), j = i + static_cast<size_t>(partner);
      std::tie(y[i], y[j]) = turn(x[i], x[j], pair == 0 ? a : b);
    }
    std::vector<int32_t> params = {
        0, n_dims, mode, 0, 0, bits(100.0f), bits(1.0f), 0, bits(1.0f), bits(32.0f), bits(1.0f)};
    const std::vector<TapTensor> sources = {floats({6, 1, 1, 1}, x), integers({1, 1, 1, 1}, {3})};
    EXPECT_TRUE(replayed(tap_of("ROPE", floats({6, 1, 1, 1}, y), sources, params)).passes());
    params[5] = bits(101.0f);
    EXPECT_GT(replayed(tap_of("ROPE", floats({6, 1, 1, 1}, y), sources, params)).ratio, 100);
    params[5] = bits(100.0f);
    params[2] = 2 - mode;
    EXPECT_GT(replayed(tap_of("ROPE", floats({6, 1, 1, 1}, y), sources, params)).ratio, 1e4);
  }
}

TEST(ReplaySoftmax, MaskAndSinks) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {1, 2, 3, 9}, mask = {0, 0.5f, 0, -kInf};
  const float e[3] = {std::exp(0.5f), std::exp(1.5f), std::exp(1.5f)};
  for (const bool has_sink : {false, true}) {
    const float sum = e[0] + e[1] + e[2] + (has_sink ? std::exp(0.25f) : 0.0f);
    std::vector<TapTensor> sources = {floats({4, 1, 1, 1}, x), halves({4, 1, 1, 1}, mask)};
    if (has_sink) sources.push_back(floats({1, 1, 1, 1}, {0.25f}));
    const TapTensor y = floats({4, 1, 1, 1}, {e[0] / sum, e[1] / sum, e[2] / sum, 0});
    EXPECT_TRUE(replayed(tap_of("SOFT_MAX", y, sources, {bits(0.5f), 0})).passes());
    EXPECT_GT(replayed(tap_of("SOFT_MAX", y, sources, {bits(0.5001f), 0})).ratio, 10);
    sources.pop_back();
    EXPECT_GT(replayed(tap_of("SOFT_MAX", y, sources, {bits(0.5f), 0})).ratio, 10);
  }
}

TEST(ReplayElementwise, TheSecondSourceRepeats) {
  const Tap tap = tap_of("ADD", floats({2, 2, 1, 1}, {11, 22, 13, 24}),
                         {floats({2, 2, 1, 1}, {1, 2, 3, 4}), floats({2, 1, 1, 1}, {10, 20})});
  const Replayed result = replayed(tap);
  EXPECT_EQ(result.ratio, 0);
  EXPECT_EQ(result.expected, (std::vector<float>{11, 22, 13, 24}));
}

TEST(ReplayElementwise, AThousandthMoreIsFound) {
  const std::vector<float> x = random_floats(64, 8), w = random_floats(64, 9);
  std::vector<float> y(64);
  for (size_t i = 0; i < y.size(); ++i) y[i] = x[i] * w[i];
  const Shape shape = {64, 1, 1, 1};
  const std::vector<TapTensor> sources = {floats(shape, x), floats(shape, w)};
  EXPECT_EQ(replayed(tap_of("MUL", floats(shape, y), sources)).ratio, 0);
  for (float& value : y) value *= 1.001f;
  EXPECT_GT(replayed(tap_of("MUL", floats(shape, y), sources)).ratio, 1000);
}

TEST(ReplayRows, GetRowsAndSetRows) {
  const TapTensor table = floats({2, 3, 1, 1}, {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(replayed(tap_of("GET_ROWS", floats({2, 2, 1, 1}, {5, 6, 1, 2}),
                              {table, integers({2, 1, 1, 1}, {2, 0})}))
                  .passes());
  EXPECT_FALSE(replayed(tap_of("GET_ROWS", floats({2, 2, 1, 1}, {5, 6, 3, 4}),
                               {table, integers({2, 1, 1, 1}, {2, 0})}))
                   .passes());
  // The row that is not written may hold anything.
  const std::vector<TapTensor> sources = {floats({2, 1, 1, 1}, {0.1f, 8}),
                                          integers({1, 1, 1, 1}, {1})};
  EXPECT_TRUE(
      replayed(tap_of("SET_ROWS", halves({2, 2, 1, 1}, {9, 9, 0.1f, 8}), sources)).passes());
  EXPECT_FALSE(
      replayed(tap_of("SET_ROWS", halves({2, 2, 1, 1}, {0.1f, 8, 9, 9}), sources)).passes());
}

TEST(ReplayRows, ConcatRepeatAndPad) {
  const TapTensor a = floats({2, 1, 1, 1}, {1, 2}), b = floats({1, 1, 1, 1}, {3});
  EXPECT_TRUE(replayed(tap_of("CONCAT", floats({3, 1, 1, 1}, {1, 2, 3}), {a, b}, {0})).passes());
  EXPECT_FALSE(replayed(tap_of("CONCAT", floats({3, 1, 1, 1}, {3, 1, 2}), {a, b}, {0})).passes());
  EXPECT_TRUE(replayed(tap_of("REPEAT", floats({4, 1, 1, 1}, {1, 2, 1, 2}), {a})).passes());
  EXPECT_TRUE(replayed(tap_of("PAD", floats({4, 1, 1, 1}, {0, 1, 2, 0}), {a}, {1, 1})).passes());
  EXPECT_FALSE(replayed(tap_of("PAD", floats({4, 1, 1, 1}, {1, 2, 0, 0}), {a}, {1, 1})).passes());
}

TEST(ReplayRows, CacheInQ8Zero) {
  std::vector<float> x = random_floats(32, 12);
  x[3] = 4;
  x[4] = 2.5f * 4 / 127;  // a tie: to even in SIMD code, away from zero in the reference
  for (const bool to_even : {true, false}) {
    std::vector<std::byte> block(34);
    const uint16_t d = f32_to_f16(4.0f / 127);
    std::memcpy(block.data(), &d, 2);
    for (size_t i = 0; i < 32; ++i) {
      const float scaled = to_even ? x[i] * (127.0f / 4) : x[i] * (1 / (4.0f / 127));
      block[2 + i] = static_cast<std::byte>(
          static_cast<int>(to_even ? std::nearbyint(scaled) : std::round(scaled)));
    }
    const TapTensor y = {.name = "cache",
                         .type = GgmlType::Q8_0,
                         .ne = {32, 1, 1, 1},
                         .is_weight = false,
                         .data = block};
    const Tap tap = tap_of("CPY", y, {floats({32, 1, 1, 1}, x)});
    EXPECT_TRUE(replayed(tap).passes());
    Tap faulty = tap;
    faulty.out.data.own()[9] ^= std::byte{1};
    EXPECT_FALSE(replayed(faulty).passes());
  }
}

TEST(ReplayMixture, OrderOfEqualValuesIsFree) {
  const TapTensor x = floats({4, 1, 1, 1}, {1, 5, 5, 3});
  EXPECT_TRUE(replayed(tap_of("ARGSORT", integers({4, 1, 1, 1}, {2, 1, 3, 0}), {x}, {1})).passes());
  EXPECT_TRUE(replayed(tap_of("ARGSORT", integers({4, 1, 1, 1}, {1, 2, 3, 0}), {x}, {1})).passes());
  EXPECT_FALSE(
      replayed(tap_of("ARGSORT", integers({4, 1, 1, 1}, {1, 1, 3, 0}), {x}, {1})).passes());
  EXPECT_TRUE(replayed(tap_of("TOP_K", integers({3, 1, 1, 1}, {3, 1, 2}), {x})).passes());
  EXPECT_FALSE(replayed(tap_of("TOP_K", integers({3, 1, 1, 1}, {0, 1, 2}), {x})).passes());
}

TEST(ReplayMixture, EachTokenMeetsItsExpert) {
  const std::vector<float> experts = {1, 2, 3, 4, 5, 6};  // three experts of one row of two
  const TapTensor w = floats({2, 1, 3, 1}, experts);
  const TapTensor x = floats({2, 1, 2, 1}, {1, 1, 10, 1});
  const TapTensor ids = integers({2, 2, 1, 1}, {2, 0, 1, 2});
  EXPECT_TRUE(
      replayed(tap_of("MUL_MAT_ID", floats({1, 2, 2, 1}, {11, 3, 34, 56}), {w, x, ids})).passes());
  EXPECT_FALSE(
      replayed(tap_of("MUL_MAT_ID", floats({1, 2, 2, 1}, {11, 3, 56, 34}), {w, x, ids})).passes());
}

TEST(ReplayFlashAttention, EqualsSoftmaxOfProductsAndFindsALostSink) {
  const std::vector<float> q = {1, 0.5f}, k = {0.5f, 1, -1, 2, 0.25f, 0.75f},
                           v = {1, 2, 3, 4, 5, 6};
  const std::vector<float> mask = {0, -0.5f, 0};
  float e[3], sum = std::exp(0.3f);
  std::vector<float> y = {0, 0};
  for (size_t j = 0; j < 3; ++j) {
    e[j] = std::exp(2 * (q[0] * k[2 * j] + q[1] * k[2 * j + 1]) + mask[j]);
    sum += e[j];
    for (size_t d = 0; d < 2; ++d) y[d] += e[j] * v[2 * j + d];
  }
  for (float& value : y) value /= sum;
  std::vector<TapTensor> sources = {floats({2, 1, 1, 1}, q), floats({2, 3, 1, 1}, k),
                                    floats({2, 3, 1, 1}, v), halves({3, 1, 1, 1}, mask),
                                    floats({1, 1, 1, 1}, {0.3f})};
  const TapTensor out = floats({2, 1, 1, 1}, y);
  EXPECT_TRUE(replayed(tap_of("FLASH_ATTN_EXT", out, sources, {bits(2.0f), 0, 0})).passes());
  EXPECT_GT(replayed(tap_of("FLASH_ATTN_EXT", out, sources, {bits(2.01f), 0, 0})).ratio, 10);
  sources.pop_back();
  EXPECT_GT(replayed(tap_of("FLASH_ATTN_EXT", out, sources, {bits(2.0f), 0, 0})).ratio, 1e3);
}

TEST(Replay, ValuesThatAreNotFiniteAreCounted) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Shape shape = {2, 1, 1, 1};
  const TapTensor one = floats(shape, {1, 1});
  const Replayed born = replayed(tap_of("ADD", floats(shape, {2, kNan}), {one, one}));
  EXPECT_EQ(born.n_born, 1);
  EXPECT_FALSE(born.passes());
  const TapTensor bad = floats(shape, {1, kNan});
  EXPECT_TRUE(replayed(tap_of("ADD", floats(shape, {2, kNan}), {one, bad})).passes());
  EXPECT_EQ(replayed(tap_of("ADD", floats(shape, {2, 2}), {one, bad})).n_lost, 1);
}

TEST(Replay, RowsThatRepeatAreOneSample) {
  constexpr int64_t n = 8, rows = 64;
  const Shape shape = {n, rows, 1, 1};
  const std::vector<float> zeros(n * rows, 0);
  const auto a_unit_more = [&](const std::vector<float>& x) {
    std::vector<float> y = x;
    for (float& value : y) value = std::nextafter(value, 1e9f);
    return replayed(tap_of("ADD", floats(shape, y), {floats(shape, x), floats(shape, zeros)}));
  };
  const std::vector<float> once = random_floats(n, 14);
  std::vector<float> again;
  for (int64_t r = 0; r < rows; ++r) again.insert(again.end(), once.begin(), once.end());
  EXPECT_TRUE(a_unit_more(again).passes());
  EXPECT_FALSE(a_unit_more(random_floats(n * rows, 15)).passes());
  // Whatever repeats, each element has its own bound.
  std::vector<float> y = again;
  y[n * 40 + 3] *= 1.00001f;
  EXPECT_EQ(replayed(tap_of("ADD", floats(shape, y), {floats(shape, again), floats(shape, zeros)}))
                .element.index,
            n * 40 + 3);
}

TEST(Replay, WhatComparisonsMakeOfNanIsAnyEnginesOwnAffair) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Shape shape = {2, 1, 1, 1};
  const TapTensor x = floats(shape, {kNan, 5});
  const std::vector<int32_t> limits = {bits(-1.0f), bits(1.0f)};
  EXPECT_TRUE(replayed(tap_of("CLAMP", floats(shape, {1, 1}), {x}, limits)).passes());
  EXPECT_TRUE(replayed(tap_of("CLAMP", floats(shape, {kNan, 1}), {x}, limits)).passes());
  EXPECT_FALSE(replayed(tap_of("CLAMP", floats(shape, {1, 5}), {x}, limits)).passes());
  TapTensor unwritten = x;
  unwritten.is_weight = true;
  unwritten.data = {};
  const std::vector<int32_t> one = {bits(2.0f), bits(2.0f)};
  EXPECT_TRUE(replayed(tap_of("CLAMP", floats(shape, {2, 2}), {unwritten}, one)).passes());
  EXPECT_FALSE(replayed(tap_of("CLAMP", floats(shape, {2, 1}), {unwritten}, one)).passes());
}

TEST(Replay, WhatMakesNoSenseIsSaid) {
  ThreadPool pool(1);
  const WeightSource none;
  const TapTensor one = floats({2, 1, 1, 1}, {1, 1});
  const auto status = [&](const Tap& tap) { return replay(tap, none, pool).status; };
  EXPECT_EQ(status(tap_of("NO_SUCH", one, {one})), ReplayStatus::unknown_op);
  EXPECT_EQ(status(tap_of("RESHAPE", one, {one})), ReplayStatus::view);
  EXPECT_EQ(status(tap_of("ADD", one, {one})), ReplayStatus::missing_data);
  TapTensor weight = one;
  weight.is_weight = true;
  weight.data = {};
  EXPECT_EQ(status(tap_of("ADD", one, {one, weight})), ReplayStatus::missing_weight);
  TapTensor huge = one;
  huge.ne = {int64_t{1} << 62, int64_t{1} << 62, 4, 1};
  TapTensor negative = one;
  negative.ne = {-2, -1, 1, 1};
  TapTensor unknown = one;
  unknown.type = static_cast<GgmlType>(9999);
  // Every operation, with sources of every wrong kind.
  for (const ReplayOp& op : all_replay_ops()) {
    for (const TapTensor& bad : {huge, negative, unknown, integers({2, 1, 1, 1}, {-5, 70000})}) {
      for (size_t n = 0; n < 6; ++n) {
        Tap tap = tap_of(std::string(op.name), one, std::vector<TapTensor>(n, one));
        tap.params = {1 << 30, -7, 2, 3, 0x7fffffff, bits(-1.0f)};
        replay(tap, none, pool);
        for (size_t i = 0; i < n; ++i) {
          Tap other = tap;
          other.sources[i] = bad;
          replay(other, none, pool);
        }
        tap.out = bad;
        replay(tap, none, pool);
      }
    }
  }
}

}  // namespace
}  // namespace crossval
