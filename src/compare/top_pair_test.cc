#include "compare/top_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "compare/comparison.h"
#include "compare/topk.h"
#include "support/random_rows.h"

namespace crossval {
namespace {

using testing::nudged;
using testing::random_row;
using Row = std::vector<float>;

std::vector<double> log_softmax(const Row& row) {
  const double most = *std::ranges::max_element(row);
  double sum = 0;
  for (const float x : row) sum += std::exp(x - most);
  std::vector<double> out;
  for (const float x : row) out.push_back(x - most - std::log(sum));
  return out;
}

// As a server tells it.
TopRow top_of(const Row& row, int k) {
  const std::vector<double> logs = log_softmax(row);
  TopRow top = top_k(row, k);
  for (TopEntry& entry : top) {
    entry.logit = static_cast<float>(logs[static_cast<size_t>(entry.token)]);
  }
  return top;
}

// KL(b || e) of whole rows, from the definition.
double whole_kl(const Row& e, const Row& b) {
  const auto le = log_softmax(e), lb = log_softmax(b);
  double kl = 0;
  for (size_t i = 0; i < e.size(); ++i) kl += std::exp(lb[i]) * (lb[i] - le[i]);
  return kl;
}

PositionMetrics against_top(const Row& e, const TopRow& b) {
  return compare_tops({{e, nullptr}, {{}, &b}}, all_metrics());
}

TEST(TopPair, BoundsHoldTheDivergenceOfWholeRows) {
  for (const float size : {0.01F, 0.3F, 3.0F}) {
    for (const int k : {1, 5, 20, 300, 2000}) {
      for (unsigned seed = 0; seed < 8; ++seed) {
        const Row b = random_row(2000, seed, 4), e = nudged(b, seed + 100, size);
        const PositionMetrics m = against_top(e, top_of(b, k));
        const double kl = whole_kl(e, b);
        ASSERT_TRUE(m.kl_low && m.kl_high);
        EXPECT_LE(*m.kl_low, kl + 1e-6) << size << " " << k;
        EXPECT_GE(*m.kl_high, kl - 1e-6) << size << " " << k;
        EXPECT_GE(*m.kl_low, 0);
      }
    }
  }
}

TEST(TopPair, BoundsCloseInAsMoreIsKnown) {
  const Row b = random_row(500, 1, 4), e = nudged(b, 2, 0.5F);
  double width = std::numeric_limits<double>::infinity();
  for (const int k : {1, 10, 100, 500}) {
    const PositionMetrics m = against_top(e, top_of(b, k));
    EXPECT_LT(*m.kl_high - *m.kl_low, width) << k;
    width = *m.kl_high - *m.kl_low;
  }
  EXPECT_LT(width, 1e-4);  // all of it is known
}

TEST(TopPair, OfTheEnginesTopAloneThereIsNoUpperBound) {
  for (const int k : {1, 10, 100}) {
    const Row b = random_row(1000, 3, 4), e = nudged(b, 4, 1.0F);
    const TopRow engine = top_of(e, k), backend = top_of(b, k);
    for (const SidesOfTops& sides :
         {SidesOfTops{{{}, &engine}, {b, nullptr}}, SidesOfTops{{{}, &engine}, {{}, &backend}}}) {
      const PositionMetrics m = compare_tops(sides, all_metrics());
      EXPECT_FALSE(m.kl_high);
      EXPECT_LE(m.kl_low.value_or(0), whole_kl(e, b) + 1e-6);
    }
  }
}

TEST(TopPair, DifferencesAreOfLogProbabilitiesOfWhatBothGave) {
  const Row b = random_row(1000, 5, 4), e = nudged(b, 6, 0.2F);
  const auto le = log_softmax(e), lb = log_softmax(b);
  const TopRow top = top_of(b, 50);
  double squares = 0, most = 0, size = 0;
  for (const TopEntry& entry : top) {
    const auto i = static_cast<size_t>(entry.token);
    squares += (le[i] - lb[i]) * (le[i] - lb[i]);
    most = std::max(most, std::fabs(le[i] - lb[i]));
  }
  for (const float x : e) size += double{x} * x;
  const PositionMetrics m = against_top(e, top);
  EXPECT_EQ(*m.n_common, 50);
  EXPECT_NEAR(*m.top_rms, std::sqrt(squares / 50), 1e-6);
  EXPECT_NEAR(*m.top_max, most, 1e-6);
  EXPECT_NEAR(*m.top_distance, std::sqrt(squares / 50) / std::sqrt(size / 1000), 1e-6);
  // Nothing is made up of what needs whole rows.
  EXPECT_TRUE(m.is_partial);
  EXPECT_FALSE(m.cosine || m.l2 || m.rel_l2 || m.mse || m.max_abs || m.kl);
  EXPECT_EQ(m.distance(), m.top_distance);
  // A constant on a whole row is no difference.
  Row lifted = e;
  for (float& x : lifted) x += 7;
  EXPECT_NEAR(*against_top(lifted, top).top_rms, *m.top_rms, 1e-5);
}

TEST(TopPair, WithAllTokensTheDistanceIsThatOfWholeRows) {
  const Row b = random_row(3000, 7, 4), e = nudged(b, 8, 0.1F);
  const PositionMetrics m = against_top(e, top_of(b, 3000));
  const PositionMetrics whole = compare_rows(e, b, all_metrics());
  // But for what normalising adds, and the norm of the other side.
  EXPECT_NEAR(*m.top_distance / *whole.rel_l2, 1, 0.05);
  EXPECT_EQ(m.top1.match, whole.top1.match);
  EXPECT_EQ(m.topk_overlap, whole.topk_overlap);
}

TEST(TopPair, NoiseIsMeasuredOnTheSameTokensInTheSameMeasure) {
  const Row b = random_row(1000, 9, 4), e = nudged(b, 10, 0.2F);
  const TopRow top = top_of(b, 30);
  const SidesOfTops sides{{e, nullptr}, {{}, &top}};
  // Noise that is the backend itself is as far as the backend.
  EXPECT_NEAR(*top_rounding(sides, e, b), *compare_tops(sides, all_metrics()).top_distance, 1e-6);
  EXPECT_EQ(*top_rounding(sides, e, e), 0);
  // What parts elsewhere is not seen: only the common tokens count.
  Row elsewhere = e;
  const auto least = std::ranges::min_element(b) - b.begin();
  elsewhere[static_cast<size_t>(least)] -= 5;
  EXPECT_LT(*top_rounding(sides, e, elsewhere), 1e-4);
  Row bad = e;
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(top_rounding(sides, e, bad));
}

TEST(TopPair, RankAndChoice) {
  const Row e = {5, 4, 3, 2, 1, 0};
  const TopRow b = {{2, -0.1F}, {0, -3.0F}, {1, -4.0F}};
  const PositionMetrics m = against_top(e, b);
  EXPECT_EQ(*m.rank, 3);
  EXPECT_EQ(*m.top1.engine, 0);
  EXPECT_EQ(*m.top1.backend, 2);
  EXPECT_FALSE(*m.top1.match);
  EXPECT_EQ(*m.topk_overlap, 1);  // of the three that the backend gave
  const TopRow engine = {{0, -0.4F}, {1, -1.4F}};
  EXPECT_FALSE(compare_tops({{{}, &engine}, {{}, &b}}, all_metrics()).rank);  // not among them
}

TEST(TopPair, ATieIsAFlipWithinTheSpread) {
  Row b = random_row(200, 11, 1), e = nudged(b, 12, 0.05F);
  b[10] = e[10] = b[20] = e[20] = 20;
  b[10] += 0.04F;
  e[20] += 0.04F;
  EXPECT_TRUE(*against_top(e, top_of(b, 100)).top1.tie);
  e[20] += 3;
  EXPECT_FALSE(*against_top(e, top_of(b, 100)).top1.tie);
}

TEST(TopPair, NothingInCommonIsNoDistance) {
  const TopRow e = {{0, -0.1F}, {1, -4.0F}}, b = {{2, -0.1F}, {3, -4.0F}};
  const PositionMetrics m = compare_tops({{{}, &e}, {{}, &b}}, all_metrics());
  EXPECT_EQ(*m.n_common, 0);
  EXPECT_FALSE(m.top_rms || m.top_distance || m.kl_low);
  EXPECT_FALSE(m.distance_is_known());
}

TEST(TopPair, ATokenThatTheOtherSideHasNotIsAnError) {
  const TopRow b = {{9, -0.1F}};
  EXPECT_THROW(against_top({1, 2, 3}, b), Error);
}

TEST(TopPair, NanInAWholeRowIsCounted) {
  const TopRow b = {{0, -0.1F}};
  const PositionMetrics m = against_top({1, std::numeric_limits<float>::quiet_NaN()}, b);
  EXPECT_EQ(m.non_finite_engine, 1);
  EXPECT_FALSE(m.finite() || m.top_rms);
}

TEST(TopPair, AComparisonTakesPartialRows) {
  const Row e = random_row(100, 13, 4), noise = nudged(e, 14, 0.1F);
  const TopRow b = top_of(e, 20);
  Comparison comparison;
  PositionRows rows;
  rows.engine = e;
  rows.rounding = noise;
  rows.backend_top = &b;
  comparison.add(rows);
  ASSERT_EQ(comparison.positions().size(), 1U);
  EXPECT_LT(*comparison.positions()[0].metrics.top_rms, 1e-5);
  EXPECT_GT(*comparison.positions()[0].rounding, 1e-3);
  EXPECT_FALSE(comparison.shift());
}

TEST(MetricsFor, RowsDecideWhichMetricsThereAre) {
  const MetricSet whole = metrics_for(all_metrics(), false);
  const MetricSet partial = metrics_for(all_metrics(), true);
  EXPECT_TRUE(has(whole, "cosine") && has(whole, "kl") && has(whole, "top1"));
  EXPECT_FALSE(has(whole, "top_rms") || has(whole, "kl_bounds") || has(whole, "rank"));
  EXPECT_FALSE(has(partial, "cosine") || has(partial, "kl") || has(partial, "max_abs"));
  EXPECT_TRUE(has(partial, "top_rms") && has(partial, "kl_bounds") && has(partial, "top1"));
  EXPECT_THROW(metrics_for(parse_metrics("cosine"), true), Error);
  EXPECT_THROW(metrics_for(parse_metrics("rank"), false), Error);
}

}  // namespace
}  // namespace crossval
