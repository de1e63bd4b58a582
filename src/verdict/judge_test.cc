#include "verdict/judge.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/random_rows.h"
#include "verdict/report.h"

namespace crossval {
namespace {

constexpr double kWithin = 0.9999, kBelow = 0.99;

struct Case {
  Gate gate;
  double cosine;
  std::optional<bool> beyond;
  Verdict verdict;
};

TEST(Judge, VerdictTable) {
  const Case cases[] = {
      {Gate::automatic, kWithin, false, Verdict::ok},
      {Gate::automatic, kWithin, true, Verdict::ok},
      {Gate::automatic, kBelow, false, Verdict::noise},
      {Gate::automatic, kBelow, true, Verdict::diverged},
      {Gate::automatic, kBelow, std::nullopt, Verdict::diverged},
      {Gate::automatic, kWithin, std::nullopt, Verdict::ok},
      {Gate::cosine, kWithin, true, Verdict::ok},
      {Gate::cosine, kBelow, false, Verdict::diverged},
      {Gate::noise, kWithin, false, Verdict::ok},
      {Gate::noise, kWithin, true, Verdict::diverged},
      {Gate::noise, kBelow, false, Verdict::noise},
      {Gate::noise, kBelow, true, Verdict::diverged},
      {Gate::noise, kWithin, std::nullopt, Verdict::diverged},
  };
  for (const Case& c : cases) {
    PositionMetrics m;
    m.cosine = c.cosine;
    m.l2 = 1;
    EXPECT_EQ(judge_position(m, c.beyond, {c.gate, 0.999}), c.verdict)
        << gate_name(c.gate) << " " << c.cosine << " " << c.beyond.value_or(true);
    // NaN or Inf on either side or on both: always.
    for (const auto& [e, b] : {std::pair(1, 0), std::pair(0, 1), std::pair(1, 1)}) {
      PositionMetrics bad = m;
      bad.non_finite_engine = e;
      bad.non_finite_backend = b;
      EXPECT_EQ(judge_position(bad, c.beyond, {c.gate, 0.999}), Verdict::diverged);
    }
  }
  PositionMetrics exact;
  exact.cosine = 0.999;
  exact.l2 = 1;
  EXPECT_EQ(judge_position(exact, {}, {Gate::cosine, 0.999}), Verdict::ok);
  EXPECT_EQ(judge_position(exact, false, {Gate::noise, 0.999}), Verdict::ok);
  exact.cosine.reset();  // cannot be computed: never agreement
  EXPECT_EQ(judge_position(exact, {}, {Gate::cosine, 0.999}), Verdict::diverged);
  exact.l2 = 0;  // but equal rows of zeros are equal
  EXPECT_EQ(judge_position(exact, {}, {Gate::cosine, 0.999}), Verdict::ok);
}

TEST(Judge, PartialRowsAreJudgedByTheirDistance) {
  const auto at = [](std::optional<double> distance) {
    PositionMetrics m;
    m.is_partial = true;
    m.top_distance = distance;
    return m;
  };
  const Tolerance tolerance = {Gate::automatic, 0.999};  // a distance of 0.0447
  EXPECT_EQ(judge_position(at(0.04), true, tolerance), Verdict::ok);
  EXPECT_EQ(judge_position(at(0.05), false, tolerance), Verdict::noise);
  EXPECT_EQ(judge_position(at(0.05), true, tolerance), Verdict::diverged);
  EXPECT_EQ(judge_position(at(0.05), std::nullopt, tolerance), Verdict::diverged);
  EXPECT_EQ(judge_position(at(0.0), std::nullopt, tolerance), Verdict::ok);
  // Nothing in common: never agreement, under no gate.
  for (const Gate gate : {Gate::automatic, Gate::cosine, Gate::noise}) {
    EXPECT_EQ(judge_position(at(std::nullopt), false, {gate, 0.999}), Verdict::diverged);
  }
}

constexpr int kVocab = 64;
using testing::nudged;
using testing::random_row;
using Row = std::vector<float>;

// Ten positions: backend apart by `distance`, arithmetics apart by `rounding` (0 = not measured);
// a fault of size `fault` at position 6.
Comparison ten_positions(float distance, float rounding, float fault = 0) {
  Comparison comparison;
  for (int p = 0; p < 10; ++p) {
    const Row e = random_row(kVocab, 100 + p, 5);
    const Row b = nudged(e, 200 + p, p == 6 && fault > 0 ? fault : distance);
    const Row r = rounding > 0 ? nudged(e, 300 + p, rounding) : Row();
    comparison.add({p + 20, Phase::prompt, {p, "t"}, e, b, r});
  }
  return comparison;
}

TEST(Judge, NoiseExplainsALowCosine) {
  const Judgement j = judge(ten_positions(0.4F, 0.3F), {}, {576, 30});
  EXPECT_EQ(j.status, Status::agree);
  EXPECT_GT(j.summary.n_noise, 5);
  EXPECT_LT(*j.summary.min_cosine, 0.999);
  EXPECT_EQ(j.summary.n_diverged, 0);
  EXPECT_FALSE(j.summary.first_divergence);
  EXPECT_EQ(j.summary.above_noise, 0);
  // The cosine alone would have cried wolf.
  EXPECT_EQ(judge(ten_positions(0.4F, 0.3F), {Gate::cosine, 0.999}, {}).status, Status::diverged);
}

TEST(Judge, AFaultBeyondTheNoiseDivergesAndIsPlaced) {
  const Judgement j = judge(ten_positions(0.3F, 0.3F, 6.0F), {}, {576, 30});
  EXPECT_EQ(j.status, Status::diverged);
  EXPECT_EQ(j.summary.first_divergence, 26);
  EXPECT_EQ(j.summary.n_diverged, 1);
  EXPECT_EQ(j.summary.min_cosine_at, 26);
  EXPECT_EQ(j.positions[6].verdict, Verdict::diverged);
  EXPECT_GT(*j.positions[6].noise_ratio, noise_ratio_limit(1, false));
}

TEST(Judge, AboveTheNoiseWithinTheCosineIsCountedAndGated) {
  const Comparison comparison = ten_positions(1e-3F, 1e-3F, 0.05F);
  const Judgement automatic = judge(comparison, {}, {576, 30});
  EXPECT_EQ(automatic.status, Status::agree);
  EXPECT_EQ(automatic.summary.above_noise, 1);
  const Judgement noise = judge(comparison, {Gate::noise, 0.999}, {576, 30});
  EXPECT_EQ(noise.status, Status::diverged);
  EXPECT_EQ(noise.summary.first_divergence, 26);
}

TEST(Judge, WithoutNoiseTheCosineDecides) {
  const Judgement j = judge(ten_positions(0.4F, 0), {}, {});
  EXPECT_EQ(j.status, Status::inconclusive);  // below it, but rounding to few bits may do that
  EXPECT_EQ(judge(ten_positions(4, 0), {}, {}).status, Status::diverged);
  EXPECT_EQ(judge(ten_positions(0.4F, 0), {Gate::cosine, 0.999}, {}).status, Status::diverged);
  EXPECT_EQ(judge(ten_positions(0.4F, 0), {}, {.weights_are_exact = true}).status,
            Status::diverged);
  EXPECT_FALSE(j.summary.above_noise || j.summary.max_noise_ratio || j.summary.median_noise);
  EXPECT_FALSE(j.positions[0].noise_ratio);
  EXPECT_EQ(judge(ten_positions(1e-3F, 0), {}, {}).status, Status::agree);
  EXPECT_THROW(judge(ten_positions(1e-3F, 0), {Gate::noise, 0.999}, {}), Error);
}

TEST(Judge, NothingComparedIsNeverAgreement) {
  EXPECT_THROW(judge(Comparison(), {}, {}), Error);
  EXPECT_NE(Report{}.status, Status::agree);
  EXPECT_NE(ParityReport{}.status(), Status::agree);
}

TEST(Judge, NaNOnBothSidesDiverges) {
  Row bad = random_row(kVocab, 1, 5);
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  const Row good = random_row(kVocab, 2, 5);
  Comparison comparison;
  comparison.add({0, Phase::prompt, {}, good, good, good});
  comparison.add({1, Phase::prompt, {}, bad, bad, bad});
  for (const Gate gate : {Gate::automatic, Gate::cosine, Gate::noise}) {
    const Judgement j = judge(comparison, {gate, 0.999}, {});
    EXPECT_EQ(j.status, Status::diverged);
    EXPECT_EQ(j.summary.first_divergence, 1);
    EXPECT_EQ(j.summary.n_non_finite, 1);
    EXPECT_EQ(j.summary.top1_agreement, 1.0);  // over the position that has it
    EXPECT_EQ(j.summary.mean_kl, 0.0);
  }
}

TEST(Judge, SummaryMeansAndExtremes) {
  const Row e = {0, 1, 2, 9}, far = {0, 1, 2, 8}, flip = {0, 1, 12, 9};
  Comparison comparison;
  comparison.add({0, Phase::prompt, {}, e, e, {}});
  comparison.add({1, Phase::decode, {}, e, far, {}});
  comparison.add({2, Phase::decode, {}, e, flip, {}});
  const Judgement j = judge(comparison, {Gate::cosine, -1}, {});
  EXPECT_EQ(j.summary.n_positions, 3);
  EXPECT_EQ(*j.summary.max_abs, 10);
  EXPECT_NEAR(*j.summary.top1_agreement, 2.0 / 3, 1e-15);
  double sum = 0, top = 0;
  for (const auto& p : j.positions) {
    sum += *p.compared.metrics.kl;
    top = std::max(top, *p.compared.metrics.kl);
  }
  EXPECT_NEAR(*j.summary.mean_kl, sum / 3, 1e-15);
  EXPECT_EQ(*j.summary.max_kl, top);
}

TEST(Tolerance, Flags) {
  EXPECT_EQ(make_tolerance("auto", 0.999).gate, Gate::automatic);
  EXPECT_EQ(make_tolerance("cosine", 1).gate, Gate::cosine);
  EXPECT_EQ(make_tolerance("noise", 0).gate, Gate::noise);
  EXPECT_THROW(make_tolerance("kl", 0.999), Error);
  EXPECT_THROW(make_tolerance("auto", 1.01), Error);
  EXPECT_THROW(make_tolerance("auto", std::numeric_limits<double>::quiet_NaN()), Error);
}

TEST(Report, TheWorstPairDecides) {
  ParityReport parity;
  parity.pairs.resize(3);
  parity.pairs[0].status = Status::agree;
  parity.pairs[1].status = Status::token_mismatch;
  parity.pairs[2].status = Status::diverged;
  EXPECT_EQ(parity.status(), Status::token_mismatch);
}

}  // namespace
}  // namespace crossval
