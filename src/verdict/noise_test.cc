#include "verdict/noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "verdict/tolerance.h"

#include <cmath>
#include <limits>

namespace crossval {
namespace {

using Measured = std::vector<std::optional<double>>;
constexpr NoiseScale kSmall = {576, 30};

TEST(Noise, FloorGrowsWithTheModel) {
  EXPECT_NEAR(summation_floor(kSmall), 0x1p-24 * std::sqrt(576 * 30), 1e-20);
  EXPECT_GT(summation_floor({4096, 32}), summation_floor(kSmall));
  EXPECT_EQ(summation_floor({}), summation_floor({4096, 32}));
}

TEST(Noise, NothingMeasuredGivesNothing) {
  EXPECT_TRUE(smooth_noise(Measured{}, kSmall).empty());
  EXPECT_TRUE(smooth_noise(Measured(5), kSmall).empty());
  EXPECT_TRUE(smooth_noise(Measured{std::numeric_limits<double>::quiet_NaN()}, kSmall).empty());
}

TEST(Noise, ConstantNoiseStaysAsItIs) {
  for (const double n : smooth_noise(Measured(20, 0.03), kSmall)) EXPECT_NEAR(n, 0.03, 1e-15);
}

TEST(Noise, OneLuckyPositionIsLifted) {
  Measured measured(20, 0.04);
  measured[7] = 1e-9;
  const auto noise = smooth_noise(measured, kSmall);
  EXPECT_GE(noise[7], kNoiseMedianPart * 0.04);
  EXPECT_LE(noise[7], 0.04);
  EXPECT_NEAR(noise[6], 0.04, 1e-15);  // its own measurement counts
}

TEST(Noise, ASpikeCountsWhereItIs) {
  Measured measured(20, 0.01);
  measured[7] = 0.2;
  const auto noise = smooth_noise(measured, kSmall);
  EXPECT_EQ(noise[7], 0.2);
  EXPECT_LT(noise[6], 0.02);
  EXPECT_NEAR(noise[15], 0.01, 1e-15);
}

TEST(Noise, NearRatiosAreGeometricMeansOfTheWindow) {
  Measured measured(40, 0.01), distances(40, 0.01);
  distances[20] = 10.0;  // a thousand times the noise, alone
  measured[0].reset();
  const auto near = near_ratios(distances, measured, kSmall);
  EXPECT_EQ(near[5].n_ratios, 5 + kRatioWindow);  // position 0 is unknown
  EXPECT_NEAR(near[5].ratio, 1.0, 1e-12);
  EXPECT_EQ(near[20].n_ratios, 2 * kRatioWindow + 1);
  EXPECT_NEAR(near[20].ratio, std::pow(1000.0, 1.0 / 17), 1e-9);
}

TEST(Noise, TheLimitFallsWithTheNumberOfRatios) {
  EXPECT_NEAR(noise_ratio_limit(1, false), 9.906, 1e-3);
  EXPECT_NEAR(noise_ratio_limit(17, false), 2.948, 1e-3);
  EXPECT_NEAR(noise_ratio_limit(1, true), 3.011, 1e-3);
  EXPECT_NEAR(noise_ratio_limit(17, true), 1.594, 1e-3);
}

TEST(Noise, APositionOfTheSameCodesShowsThatEnginesRoundAlike) {
  Measured measured(6, 0.04), distances(6, 0.02);
  EXPECT_FALSE(rounds_alike(distances, measured, kSmall));
  distances[3] = 1e-7;
  EXPECT_TRUE(rounds_alike(distances, measured, kSmall));
  // Says nothing where the noise itself is hardly more than the order of sums.
  EXPECT_FALSE(rounds_alike(distances, Measured(6, 1e-5), kSmall));
  EXPECT_FALSE(rounds_alike(distances, Measured(6), kSmall));
  // And does not pull the mean around it down.
  const auto near = near_ratios(distances, measured, kSmall);
  EXPECT_EQ(near[0].n_ratios, 5);
  EXPECT_NEAR(near[0].ratio, 0.5, 1e-12);
}

TEST(Noise, NeverBelowSummation) {
  for (const double n : smooth_noise(Measured(20, 0.0), kSmall)) {
    EXPECT_DOUBLE_EQ(n, summation_floor(kSmall));
  }
}

TEST(Noise, GapsAreFilledFromTheirNeighbours) {
  Measured measured(20, 0.02);
  measured[3].reset();
  EXPECT_NEAR(smooth_noise(measured, kSmall)[3], 0.02, 1e-15);
  Measured lone(40);
  lone[0] = 0.02;
  EXPECT_NEAR(smooth_noise(lone, kSmall)[39], kNoiseMedianPart * 0.02, 1e-15);
}

}  // namespace
}  // namespace crossval
