#include "native/compressor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace crossval {
namespace {

std::vector<float> random_rows(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> draw;
  std::vector<float> out(n);
  for (float& x : out) x = draw(random);
  return out;
}

// Of elements at these places, weighted by the softmax of their scores.
double mean(const std::vector<float>& values, const std::vector<float>& scores,
            const std::vector<size_t>& at) {
  double sum = 0, weight = 0;
  for (const size_t i : at) {
    sum += std::exp(double{scores[i]}) * double{values[i]};
    weight += std::exp(double{scores[i]});
  }
  return sum / weight;
}

TEST(Compressor, ARowIsTheWeightedMeanOfItsPositions) {
  constexpr int kRatio = 3, kLen = 2;
  const std::vector<float> values = random_rows(6 * kLen, 1), scores = random_rows(6 * kLen, 2);
  Compressor compressor;
  std::vector<float> row(kLen);
  for (int position = 0; position < 6; ++position) {
    const bool ends = compressor.add(position, kRatio, false, kLen, &values[position * kLen],
                                     &scores[position * kLen], row.data());
    EXPECT_EQ(ends, position % kRatio == kRatio - 1);
    if (!ends) continue;
    for (size_t i = 0; i < kLen; ++i) {
      const size_t first = (static_cast<size_t>(position) - 2) * kLen + i;
      EXPECT_NEAR(row[i], mean(values, scores, {first, first + kLen, first + 2 * kLen}), 1e-6);
    }
  }
}

TEST(Compressor, BlocksThatOverlapTakeFirstHalvesFromTheOneBefore) {
  constexpr int kRatio = 2, kLen = 2, kWidth = 2 * kLen;
  const std::vector<float> values = random_rows(4 * kWidth, 3), scores = random_rows(4 * kWidth, 4);
  Compressor compressor;
  std::vector<float> row(kLen);
  for (int position = 0; position < 4; ++position) {
    if (!compressor.add(position, kRatio, true, kLen, &values[position * kWidth],
                        &scores[position * kWidth], row.data())) {
      continue;
    }
    for (size_t i = 0; i < kLen; ++i) {
      const auto own = [&](size_t of) { return of * kWidth + kLen + i; };
      const std::vector<size_t> at = position == 1
                                         ? std::vector<size_t>{own(0), own(1)}
                                         : std::vector<size_t>{i, kWidth + i, own(2), own(3)};
      EXPECT_NEAR(row[i], mean(values, scores, at), 1e-6) << position;
    }
  }
}

}  // namespace
}  // namespace crossval
