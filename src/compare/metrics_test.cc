#include "compare/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "base/error.h"
#include "compare/distance.h"
#include "compare/kl.h"
#include "compare/topk.h"
#include "support/random_rows.h"

namespace crossval {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

using testing::nudged;
using testing::random_row;
using Row = std::vector<float>;

PositionMetrics measure(const Row& e, const Row& b) { return compare_rows(e, b, all_metrics()); }

// KL(b || e), straight from the definition in long double.
long double naive_kl(const Row& e, const Row& b) {
  const long double me = *std::max_element(e.begin(), e.end());
  const long double mb = *std::max_element(b.begin(), b.end());
  long double ze = 0, zb = 0, kl = 0;
  for (const float x : e) ze += expl(x - me);
  for (const float x : b) zb += expl(x - mb);
  for (size_t i = 0; i < e.size(); ++i) {
    const long double log_p = b[i] - mb - logl(zb), log_q = e[i] - me - logl(ze);
    kl += expl(log_p) * (log_p - log_q);
  }
  return kl;
}

TEST(Metrics, KnownValues) {
  const PositionMetrics m = measure({3, 4, 0}, {4, 3, 0});
  EXPECT_NEAR(*m.cosine, 24.0 / 25, 1e-15);
  EXPECT_NEAR(*m.l2, std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(*m.rel_l2, std::sqrt(2.0) / 5, 1e-15);
  EXPECT_NEAR(*m.mse, 2.0 / 3, 1e-15);
  EXPECT_EQ(*m.max_abs, 1);
  EXPECT_EQ(*m.max_abs_token, 0);  // the first of equals
  EXPECT_EQ(*m.top1.engine, 1);
  EXPECT_EQ(*m.top1.backend, 0);
  EXPECT_FALSE(*m.top1.match);
  EXPECT_EQ(*m.topk_overlap, 1);
}

TEST(Metrics, AgreeWithLongDouble) {
  for (const size_t n : {1, 7, 8, 9, 1000, 4099}) {
    const Row b = random_row(n, 1), e = nudged(b, 2, 0.3F);
    const PositionMetrics m = measure(e, b);
    long double dot = 0, ee = 0, bb = 0, dd = 0, top = 0;
    for (size_t i = 0; i < n; ++i) {
      const long double x = e[i], y = b[i];
      dot += x * y, ee += x * x, bb += y * y, dd += (x - y) * (x - y);
      top = std::max(top, fabsl(x - y));
    }
    EXPECT_NEAR(*m.cosine, static_cast<double>(dot / sqrtl(ee * bb)), 1e-14);
    EXPECT_NEAR(*m.l2 / static_cast<double>(sqrtl(dd)), 1, 1e-14);
    EXPECT_NEAR(*m.rel_l2 / static_cast<double>(sqrtl(dd / bb)), 1, 1e-14);
    EXPECT_NEAR(*m.mse / static_cast<double>(dd / n), 1, 1e-14);
    EXPECT_NEAR(*m.max_abs, static_cast<double>(top), 0);
    EXPECT_NEAR(*m.kl, static_cast<double>(naive_kl(e, b)), 1e-13) << n;
  }
}

TEST(Metrics, KlOfTinyAndHugeDifferences) {
  const Row b = random_row(5000, 3, 6);
  for (const float size : {1e-5F, 1e-3F, 1.0F, 30.0F, 3000.0F}) {
    const Row e = nudged(b, 4, size);
    const double want = static_cast<double>(naive_kl(e, b));
    const double got = *measure(e, b).kl;
    EXPECT_GE(got, 0);
    EXPECT_NEAR(got, want, 3e-14 + 1e-12 * want) << size;
  }
}

TEST(Metrics, KlTakesTheBackendAsTruth) {
  // Two tokens at 1/2 each against 1 - 1/(1+e^9): the two directions differ by far.
  const Row even = {0, 0}, sure = {9, 0};
  EXPECT_NEAR(*measure(sure, even).kl, static_cast<double>(naive_kl(sure, even)), 1e-14);
  EXPECT_GT(*measure(sure, even).kl, 3);
  EXPECT_LT(*measure(even, sure).kl, 1);
}

TEST(Metrics, IdenticalAndOppositeRows) {
  Row row = random_row(100, 5);
  const PositionMetrics same = measure(row, row);
  EXPECT_EQ(*same.cosine, 1);
  EXPECT_EQ(*same.rel_l2, 0);
  EXPECT_EQ(*same.kl, 0);
  EXPECT_EQ(*same.topk_overlap, 1);
  EXPECT_TRUE(*same.top1.match);
  EXPECT_FALSE(same.max_abs_token);  // no entry differs
  Row minus = row;
  for (float& x : minus) x = -x;
  EXPECT_NEAR(*measure(row, minus).cosine, -1, 1e-15);
  EXPECT_NEAR(*measure(row, minus).rel_l2, 2, 1e-15);
}

TEST(Metrics, NonFiniteIsCountedAndNothingIsInvented) {
  const PositionMetrics m = measure({kNaN, kInf, -kInf}, {2, 3, kInf});
  EXPECT_EQ(m.non_finite_engine, 3);
  EXPECT_EQ(m.non_finite_backend, 1);
  EXPECT_FALSE(m.cosine || m.l2 || m.rel_l2 || m.mse || m.max_abs || m.kl || m.topk_overlap);
  EXPECT_FALSE(m.top1.match || m.top1.engine || m.top1.backend);
  // One bad side only: the other's choice is still known.
  const PositionMetrics one = measure({kNaN, kNaN}, {1, 2});
  EXPECT_EQ(one.non_finite_engine, 2);
  EXPECT_EQ(one.non_finite_backend, 0);
  EXPECT_FALSE(one.top1.engine);
  EXPECT_EQ(*one.top1.backend, 1);
  // NaN at every place of a vector, at any tail.
  for (size_t at = 0; at < 19; ++at) {
    Row row = random_row(19, 6);
    const Row good = row;
    row[at] = kNaN;
    EXPECT_EQ(measure(row, good).non_finite_engine, 1);
    EXPECT_EQ(measure(good, row).non_finite_backend, 1);
    EXPECT_FALSE(measure(good, row).top1.match);
    EXPECT_EQ(*measure(good, row).l2, 0);
  }
}

TEST(Metrics, BesideANanTheRestOfTheRowIsCompared) {
  const PositionMetrics m = measure({1, kNaN, 4, 3, 0}, {1, 2, 4, 5, kInf});
  EXPECT_EQ(m.non_finite_engine, 1);
  EXPECT_EQ(m.non_finite_backend, 1);
  const PositionMetrics rest = measure({1, 4, 3}, {1, 4, 5});
  EXPECT_EQ(m.cosine, rest.cosine);
  EXPECT_EQ(m.rel_l2, rest.rel_l2);
  EXPECT_EQ(m.mse, rest.mse);
  EXPECT_EQ(m.kl, rest.kl);
  EXPECT_EQ(*m.max_abs, 2);
  EXPECT_EQ(*m.max_abs_token, 3);  // its place in the whole row
  EXPECT_FALSE(m.top1.match || m.top1.engine || m.top1.backend);
}

TEST(Metrics, HugeAndDenormalValuesStayExact) {
  const float huge = std::numeric_limits<float>::max();
  const PositionMetrics big = measure({huge, -huge, 0}, {-huge, huge, 1});
  EXPECT_NEAR(*big.cosine, -1, 1e-15);
  EXPECT_EQ(*big.max_abs, 2.0 * huge);
  EXPECT_TRUE(std::isfinite(*big.l2) && std::isfinite(*big.kl));
  const float tiny = std::numeric_limits<float>::denorm_min();
  const PositionMetrics small = measure({tiny, 2 * tiny}, {2 * tiny, tiny});
  EXPECT_NEAR(*small.cosine, 0.8, 1e-15);
  EXPECT_EQ(*small.max_abs, tiny);
}

TEST(Metrics, ZeroRows) {
  EXPECT_FALSE(measure({0, 0}, {0, 0}).cosine);  // undefined
  EXPECT_EQ(*measure({0, 0}, {0, 0}).l2, 0);
  EXPECT_FALSE(measure({1, 0}, {0, 0}).cosine);
  EXPECT_FALSE(measure({1, 0}, {0, 0}).rel_l2);
  EXPECT_FALSE(measure({0, 0}, {1, 0}).cosine);
  EXPECT_EQ(*measure({0, 0}, {1, 0}).rel_l2, 1);
}

TEST(Metrics, TieNeedsAGapWithinTheSpread) {
  Row b = random_row(1000, 7, 1), e = nudged(b, 8, 0.05F);
  b[10] = e[10] = 20;
  b[20] = e[20] = 20;
  b[10] += 0.04F;  // gaps of 0.04 and 0.04 against a spread of 0.05 a logit
  e[20] += 0.04F;
  const PositionMetrics tie = measure(e, b);
  EXPECT_FALSE(*tie.top1.match);
  EXPECT_TRUE(*tie.top1.tie);
  // A lone fault flips by far more than the rest moves; max_abs would call that a tie too.
  e[20] += 3;
  EXPECT_FALSE(*measure(e, b).top1.match);
  EXPECT_FALSE(*measure(e, b).top1.tie);
  // A constant added to a whole row does not widen the spread.
  for (float& x : e) x += 50;
  EXPECT_FALSE(*measure(e, b).top1.tie);
}

TEST(Metrics, UnequalOrEmptyRowsAreRefused) {
  EXPECT_THROW(measure({1, 2}, {1, 2, 3}), Error);
  EXPECT_THROW(measure({}, {}), Error);
}

TEST(Metrics, ListsAndTable) {
  EXPECT_EQ(parse_metrics("all"), all_metrics());
  const MetricSet two = parse_metrics("kl,cosine");
  EXPECT_EQ(two.count(), 2U);
  EXPECT_TRUE(has(two, "kl") && has(two, "cosine"));
  for (const char* bad : {"", "kl,", "KL", "cosine;kl"}) EXPECT_THROW(parse_metrics(bad), Error);
  std::set<std::string> names;
  for (const MetricInfo& row : metric_table()) {
    EXPECT_TRUE(names.insert(row.name).second);
    EXPECT_TRUE(has(all_metrics(), row) && has(parse_metrics(row.name), row));
    // One number, or members of its own with a cell and keys.
    EXPECT_TRUE(row.value != nullptr || (row.cell != nullptr && row.json != nullptr)) << row.name;
  }
  const PositionMetrics cheap = compare_rows(Row{1, 2}, Row{2, 1}, parse_metrics("cosine"));
  EXPECT_TRUE(cheap.cosine && cheap.rel_l2);
  EXPECT_FALSE(cheap.kl || cheap.topk_overlap || cheap.top1.match);
}

TEST(Kernels, EveryPathGivesTheSameBits) {
  for (const size_t n : {1, 8, 15, 16, 17, 777, 49152}) {
    const Row e = random_row(n, 9, 8), b = nudged(e, 10, 0.1F);
    const DistanceSums fast = distance_sums(e, b), plain = distance_sums_scalar(e, b);
    EXPECT_EQ(fast.dot, plain.dot);
    EXPECT_EQ(fast.ee, plain.ee);
    EXPECT_EQ(fast.bb, plain.bb);
    EXPECT_EQ(fast.dd, plain.dd);
    EXPECT_EQ(fast.d, plain.d);
    EXPECT_EQ(fast.max_abs, plain.max_abs);
    const float me = *std::max_element(e.begin(), e.end());
    const float mb = *std::max_element(b.begin(), b.end());
    EXPECT_EQ(kl_divergence(e, b, me, mb), kl_divergence_scalar(e, b, me, mb));
  }
}

TEST(TopK, AgreesWithASort) {
  for (const size_t n : {1, 5, 10, 11, 26, 27, 1000, 5003}) {
    Row row = random_row(n, static_cast<unsigned>(n), 3);
    for (float& x : row) x = std::round(x);  // many equal values
    std::vector<int32_t> ids(n);
    for (size_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>(i);
    std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return row[a] > row[b]; });
    const auto top = top_k(row, 10);
    ASSERT_EQ(top.size(), std::min<size_t>(n, 10));
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(top[i].token, ids[i]);
      EXPECT_EQ(top[i].logit, row[ids[i]]);
    }
  }
}

TEST(TopK, OddRows) {
  EXPECT_TRUE(top_k({}, 10).empty());
  EXPECT_TRUE(top_k(Row(40, kNaN), 10).empty());
  EXPECT_EQ(top_k(Row(40, -kInf), 3).front().token, 0);
  Row row(40, kNaN);
  row[33] = -5;
  ASSERT_EQ(top_k(row, 3).size(), 1U);
  EXPECT_EQ(top_k(row, 3)[0].token, 33);
  row[3] = kInf;
  EXPECT_EQ(top_k(row, 3)[0].token, 3);
}

TEST(TopK, Overlap) {
  const Row a = {9, 8, 7, 6, 0, 0, 0, 0}, b = {9, 8, 0, 0, 0, 0, 7, 6};
  EXPECT_EQ(overlap(top_k(a, 4), top_k(b, 4)), 0.5);
  EXPECT_EQ(overlap({}, {}), 0);
}

}  // namespace
}  // namespace crossval
