// Rotations against the definition in double, for both styles and each kind of scaling.
#include "native/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace crossval {
namespace {

RopeConfig plain(RopeStyle style) {
  RopeConfig rope;
  rope.style = style;
  rope.n_dims = 8;
  rope.freq_base = 10000;
  rope.n_ctx_orig = 64;
  return rope;
}

TEST(Rope, RotatesPairsByPositionTimesFrequency) {
  for (RopeStyle style : {RopeStyle::norm, RopeStyle::neox}) {
    const RopeConfig rope = plain(style);
    const RopeTable table = make_rope_table(rope, nullptr, 5, 3);
    std::vector<float> head = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};  // two elements beyond n_dims
    const std::vector<float> before = head;
    rotate_head(table, rope.style, 2, head.data());
    for (int pair = 0; pair < 4; ++pair) {
      const double angle = 7.0 * std::pow(10000.0, -2.0 * pair / 8);
      const size_t i = static_cast<size_t>(style == RopeStyle::norm ? 2 * pair : pair);
      const size_t j = static_cast<size_t>(style == RopeStyle::norm ? 2 * pair + 1 : pair + 4);
      EXPECT_NEAR(head[i], before[i] * std::cos(angle) - before[j] * std::sin(angle), 1e-5);
      EXPECT_NEAR(head[j], before[i] * std::sin(angle) + before[j] * std::cos(angle), 1e-5);
    }
    EXPECT_EQ(head[8], 9);
    EXPECT_EQ(head[9], 10);
  }
}

TEST(Rope, LinearScalingDividesThePosition) {
  RopeConfig scaled = plain(RopeStyle::norm);
  scaled.freq_scale = 0.5f;
  const RopeTable half = make_rope_table(scaled, nullptr, 10, 1);
  const RopeTable five = make_rope_table(plain(RopeStyle::norm), nullptr, 5, 1);
  for (int pair = 0; pair < 4; ++pair) EXPECT_NEAR(half.cos[pair], five.cos[pair], 1e-6);
}

TEST(Rope, FrequencyFactorsDivideTheAngle) {
  const VectorWeight factors = {1, 2, 4, 8};
  const RopeTable table = make_rope_table(plain(RopeStyle::norm), &factors, 3, 1);
  for (int pair = 0; pair < 4; ++pair) {
    const double angle = 3.0 * std::pow(10000.0, -2.0 * pair / 8) / factors[pair];
    EXPECT_NEAR(table.sin[pair], std::sin(angle), 1e-6);
  }
}

TEST(Rope, YarnKeepsFastDimensionsAndScalesSlowOnes) {
  RopeConfig yarn = plain(RopeStyle::neox);
  yarn.n_dims = 64;
  yarn.n_ctx_orig = 2048;
  yarn.freq_scale = 0.25f;
  yarn.ext_factor = 1.0f;
  const RopeTable table = make_rope_table(yarn, nullptr, 100, 1);
  const double magnitude = 1.0 + 0.1 * std::log(4.0);
  const double slow = 100.0 * std::pow(10000.0, -62.0 / 64) * 0.25;
  EXPECT_NEAR(table.cos[0], std::cos(100.0) * magnitude, 1e-4);
  EXPECT_NEAR(table.sin[31], std::sin(slow) * magnitude, 1e-5);
}

}  // namespace
}  // namespace crossval
