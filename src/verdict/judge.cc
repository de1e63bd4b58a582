#include "verdict/judge.h"

#include <algorithm>
#include <cmath>

namespace crossval {
namespace {

template <class T>
void keep_max(std::optional<double>& best, const std::optional<T>& value) {
  if (value && (!best || *value > *best)) best = *value;
}

// The cosine; where rows are partial, that of two rows of one length at such a distance.
std::optional<double> closeness(const PositionMetrics& metrics) {
  if (!metrics.is_partial || !metrics.top_distance) return metrics.cosine;
  return 1 - *metrics.top_distance * *metrics.top_distance / 2;
}

bool below_cosine(const PositionMetrics& metrics, const Tolerance& tolerance) {
  // Equal rows of zeros have no cosine and no distance either.
  const std::optional<double> close = closeness(metrics);
  if (!close) return !(metrics.l2 && *metrics.l2 == 0);
  return !(*close >= tolerance.cos_tol);
}

bool within_cosine_above_noise(const JudgedPosition& position, const Tolerance& tolerance) {
  return position.beyond_noise.value_or(false) &&
         !below_cosine(position.compared.metrics, tolerance);
}

void add_to_summary(const JudgedPosition& position, Summary& summary) {
  const PositionMetrics& m = position.compared.metrics;
  const int index = position.compared.index;
  if (position.verdict == Verdict::diverged) {
    if (!summary.first_divergence) summary.first_divergence = index;
    ++summary.n_diverged;
  }
  if (position.verdict == Verdict::noise) ++summary.n_noise;
  if (m.top1.tie.value_or(false)) ++summary.n_ties;
  if (!m.finite()) ++summary.n_non_finite;
  if (m.cosine && (!summary.min_cosine || *m.cosine < *summary.min_cosine)) {
    summary.min_cosine = *m.cosine;
    summary.min_cosine_at = index;
  }
  if (m.is_partial && m.n_common) {
    summary.fewest_common = std::min(summary.fewest_common.value_or(*m.n_common), *m.n_common);
  }
  if (m.top_rms && (!summary.max_top_rms || *m.top_rms > *summary.max_top_rms)) {
    summary.max_top_rms = m.top_rms;
    summary.max_top_rms_at = index;
  }
  keep_max(summary.max_top_distance, m.top_distance);
  keep_max(summary.max_abs, m.max_abs);
  keep_max(summary.max_kl, m.kl);
  keep_max(summary.max_noise_ratio, position.noise_ratio);
  keep_max(summary.max_near_noise_ratio, position.near_noise_ratio);
}

// Means over the positions where the metric could be computed.
void add_means(std::span<const JudgedPosition> positions, Summary& summary) {
  double sum_kl = 0;
  int n_kl = 0, n_top1 = 0, n_match = 0;
  for (const JudgedPosition& position : positions) {
    const PositionMetrics& m = position.compared.metrics;
    if (m.kl) {
      sum_kl += *m.kl;
      ++n_kl;
    }
    if (m.top1.match) {
      ++n_top1;
      n_match += *m.top1.match ? 1 : 0;
    }
  }
  if (n_kl > 0) summary.mean_kl = sum_kl / n_kl;
  if (n_top1 > 0) summary.top1_agreement = static_cast<double>(n_match) / n_top1;
}

// Coarse weights alone bring the cosine of two right runs so low (docs/calibration.md has what was
// seen): without a measurement of this model's rounding nobody can say what it is.
constexpr double kLowestByRounding = 0.9;

bool may_be_rounding(const Summary& summary, bool noise_is_unknown, const Tolerance& tolerance) {
  std::optional<double> lowest = summary.min_cosine;
  if (summary.max_top_distance) {
    lowest = 1 - *summary.max_top_distance * *summary.max_top_distance / 2;
  }
  return noise_is_unknown && tolerance.gate == Gate::automatic && summary.n_non_finite == 0 &&
         summary.fewest_common.value_or(1) > 0 && lowest && *lowest >= kLowestByRounding;
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::noise:
      return "noise";
    case Verdict::diverged:
      return "diverged";
  }
  return "unknown";
}

Verdict judge_position(const PositionMetrics& metrics, std::optional<bool> beyond_noise,
                       const Tolerance& tolerance) {
  if (!metrics.finite() || !metrics.distance_is_known()) return Verdict::diverged;
  const bool below = below_cosine(metrics, tolerance);
  const bool beyond = beyond_noise.value_or(true);
  switch (tolerance.gate) {
    case Gate::cosine:
      return below ? Verdict::diverged : Verdict::ok;
    case Gate::noise:
      return beyond ? Verdict::diverged : below ? Verdict::noise : Verdict::ok;
    case Gate::automatic:
      break;
  }
  return !below ? Verdict::ok : beyond ? Verdict::diverged : Verdict::noise;
}

Judgement judge(const Comparison& comparison, const Tolerance& tolerance, const NoiseScale& scale) {
  const auto& compared = comparison.positions();
  if (compared.empty()) {
    bad_input("nothing_compared", "no position was compared, which is not agreement",
              "positions to compare", "ask for at least one: see --positions, --ladder");
  }
  std::vector<std::optional<double>> measured, distances;
  measured.reserve(compared.size());
  distances.reserve(compared.size());
  for (const ComparedPosition& position : compared) {
    measured.push_back(position.rounding);
    distances.push_back(position.metrics.distance());
  }
  std::vector<double> noise = smooth_noise(measured, scale);
  const std::vector<NearRatio> near = near_ratios(distances, measured, scale);
  const bool alike = rounds_alike(distances, measured, scale);
  if (noise.empty() && tolerance.gate == Gate::noise) {
    bad_input("no_noise_measurement", "the rounding noise of this run is unknown", "--gate noise",
              "let one side be the native engine, which measures it, or use --gate cosine");
  }

  Judgement judgement;
  for (size_t i = 0; i < compared.size(); ++i) {
    JudgedPosition position;
    position.compared = compared[i];
    const PositionMetrics& metrics = position.compared.metrics;
    if (!noise.empty() && metrics.distance()) {
      position.noise_ratio = *metrics.distance() / noise[i];
      position.beyond_noise = !(*position.noise_ratio <= noise_ratio_limit(1, alike));
      if (near[i].n_ratios > 0) {
        position.near_noise_ratio = near[i].ratio;
        *position.beyond_noise |= !(near[i].ratio <= noise_ratio_limit(near[i].n_ratios, alike));
      }
    }
    position.verdict = judge_position(metrics, position.beyond_noise, tolerance);
    add_to_summary(position, judgement.summary);
    judgement.positions.push_back(std::move(position));
  }
  Summary& summary = judgement.summary;
  summary.n_positions = static_cast<int>(judgement.positions.size());
  summary.shift = comparison.shift();
  summary.rounds_alike = alike;
  add_means(judgement.positions, summary);
  if (!noise.empty()) {
    summary.above_noise = static_cast<int>(std::count_if(
        judgement.positions.begin(), judgement.positions.end(),
        [&](const JudgedPosition& p) { return within_cosine_above_noise(p, tolerance); }));
    const auto middle = noise.begin() + static_cast<std::ptrdiff_t>(noise.size() / 2);
    std::nth_element(noise.begin(), middle, noise.end());
    summary.median_noise = *middle;
  }
  judgement.status =
      summary.n_diverged == 0 ? Status::agree
      : may_be_rounding(summary, noise.empty() && !scale.weights_are_exact, tolerance)
          ? Status::inconclusive
          : Status::diverged;
  return judgement;
}

}  // namespace crossval
