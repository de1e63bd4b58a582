// Unary functions and gated units: polynomials, tables of half floats, and the ends of f32.
#include <gtest/gtest.h>

#include <cmath>

#include "replay/sample_taps.h"

namespace crossval {
namespace {

using testing::bits;
using testing::floats;
using testing::random_floats;
using testing::replayed;
using testing::Shape;
using testing::tap_of;

TEST(ReplayActivations, GatesOfBothHalvesAndSwapped) {
  const auto silu = [](float x) { return x / (1 + std::exp(-x)); };
  const TapTensor x = floats({4, 1, 1, 1}, {1, -2, 3, 4});
  const TapTensor y = floats({2, 1, 1, 1}, {silu(1) * 3, silu(-2) * 4});
  EXPECT_TRUE(replayed(tap_of("SWIGLU", y, {x}, {2, 0})).passes());
  EXPECT_FALSE(replayed(tap_of("SWIGLU", y, {x}, {2, 1})).passes());
  EXPECT_FALSE(replayed(tap_of("GEGLU", y, {x}, {1, 0})).passes());
  const TapTensor swapped = floats({2, 1, 1, 1}, {1 * silu(3), -2 * silu(4)});
  EXPECT_TRUE(replayed(tap_of("SWIGLU", swapped, {x}, {2, 1})).passes());
}

TEST(ReplayActivations, GeluFromTheTableOfHalves) {
  std::vector<float> x = random_floats(256, 10, 2), y;
  for (const float value : x) {
    const float h = f16_to_f32(f32_to_f16(value));
    const float g = 0.5f * h * (1 + std::tanh(0.7978845608f * h * (1 + 0.044715f * h * h)));
    y.push_back(f16_to_f32(f32_to_f16(g)));
  }
  const Shape shape = {256, 1, 1, 1};
  const Replayed result = replayed(tap_of("GELU", floats(shape, y), {floats(shape, x)}));
  EXPECT_TRUE(result.passes()) << result.ratio;
  EXPECT_EQ(result.arithmetic, "f16 table");
}

// ggml-cpu/vec.h `ggml_silu_f32`: the exponential of 89 is infinite in f32.
TEST(ReplayActivations, SiluMayVanishWhereItsExponentialIsInfinite) {
  const Shape shape = {2, 1, 1, 1};
  const TapTensor up = floats(shape, {2000, 1});
  const float one = 1 / (1 + std::exp(-1.0f));
  // Of the units that no engine reads from a table.
  const auto passes = [&](float gate, float y) {
    return replayed(tap_of("SWIGLU_CLAMP", floats(shape, {y, one}), {floats(shape, {gate, 1}), up},
                           {2, 0, 0, bits(1e6f)}))
        .passes();
  };
  EXPECT_TRUE(passes(-89.5f, 0));
  EXPECT_FALSE(passes(-89.5f, 1e-30f));
  EXPECT_FALSE(passes(-80, 0));
}

// The engine fills its table with an f32 function in which 1 + tanh cancels.
TEST(ReplayActivations, TheTableOfGeluIsAsInexactAsItsFunction) {
  std::vector<float> x, y;
  for (int i = 0; i < 256; ++i) {
    const float h = f16_to_f32(f32_to_f16(-4.0f - static_cast<float>(i) / 128));
    const float inner = 0.79788456080286535587989211986876f * h * (1 + 0.044715f * h * h);
    x.push_back(h);
    y.push_back(f16_to_f32(f32_to_f16(0.5f * h * (1 + std::tanh(inner)))));
  }
  const Shape shape = {256, 1, 1, 1};
  const Replayed result = replayed(tap_of("GELU", floats(shape, y), {floats(shape, x)}));
  EXPECT_TRUE(result.passes()) << result.ratio;
}

}  // namespace
}  // namespace crossval
