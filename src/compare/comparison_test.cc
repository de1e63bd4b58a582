#include "compare/comparison.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/error.h"

namespace crossval {
namespace {

constexpr int kVocab = 300;

std::vector<std::vector<float>> random_rows(int n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<std::vector<float>> rows(n, std::vector<float>(kVocab));
  for (auto& row : rows) {
    for (float& x : row) x = normal(random);
  }
  return rows;
}

PositionRows at(int index, const std::vector<float>& e, const std::vector<float>& b,
                std::span<const float> rounding = {}) {
  return {index, Phase::prompt, {7, "x"}, e, b, rounding};
}

TEST(Comparison, BatchesAndThreadsGiveTheSame) {
  const auto e = random_rows(9, 1), b = random_rows(9, 2), r = random_rows(9, 3);
  Comparison one, many;
  std::vector<PositionRows> batch;
  for (int p = 0; p < 9; ++p) {
    one.add(at(p, e[p], b[p], r[p]));
    batch.push_back(at(p, e[p], b[p], r[p]));
  }
  ThreadPool pool(2);
  many.add(std::span(batch).first(4), &pool);
  many.add(std::span(batch).subspan(4), &pool);
  ASSERT_EQ(one.positions().size(), 9U);
  ASSERT_EQ(many.positions().size(), 9U);
  for (int p = 0; p < 9; ++p) {
    EXPECT_EQ(one.positions()[p].index, p);
    EXPECT_EQ(one.positions()[p].metrics.kl, many.positions()[p].metrics.kl);
    EXPECT_EQ(one.positions()[p].metrics.cosine, many.positions()[p].metrics.cosine);
    EXPECT_GT(*one.positions()[p].rounding, 0.1);
    EXPECT_EQ(one.positions()[p].rounding, many.positions()[p].rounding);
  }
}

TEST(Comparison, NoiseThatCannotBeMeasuredIsAbsent) {
  const auto e = random_rows(1, 1);
  auto r = e[0];
  Comparison comparison;
  comparison.add(at(0, e[0], e[0]));
  EXPECT_FALSE(comparison.positions()[0].rounding);
  r[5] = std::numeric_limits<float>::quiet_NaN();
  comparison.add(at(1, e[0], e[0], r));
  EXPECT_FALSE(comparison.positions()[1].rounding);
}

TEST(Comparison, NamesAShiftInEitherDirectionOnly) {
  const auto rows = random_rows(20, 4);
  Comparison late, early, aligned, unrelated, constant;
  const auto other = random_rows(20, 5);
  for (int p = 0; p + 1 < 20; ++p) {
    late.add(at(p, rows[p + 1], rows[p]));  // the backend's next row is this one
    early.add(at(p, rows[p], rows[p + 1]));
    aligned.add(at(p, rows[p], rows[p]));
    unrelated.add(at(p, rows[p], other[p]));
    constant.add(at(p, rows[0], other[0]));
  }
  EXPECT_EQ(late.shift(), 1);
  EXPECT_EQ(early.shift(), -1);
  EXPECT_FALSE(aligned.shift());
  EXPECT_FALSE(unrelated.shift());
  EXPECT_FALSE(constant.shift());
}

TEST(Comparison, RefusesRowsOfUnequalLength) {
  const auto e = random_rows(1, 1);
  std::vector<float> longer = e[0];
  longer.push_back(0);
  Comparison comparison;
  EXPECT_THROW(comparison.add(at(0, e[0], longer)), Error);
  EXPECT_TRUE(comparison.positions().empty());
}

}  // namespace
}  // namespace crossval
