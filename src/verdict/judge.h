// From metrics to verdicts: each position, the summary, and the status of the whole.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "compare/comparison.h"
#include "verdict/noise.h"
#include "verdict/tolerance.h"

namespace crossval {

enum class Verdict { ok, noise, diverged };
const char* verdict_name(Verdict verdict);

struct JudgedPosition {
  ComparedPosition compared;
  std::optional<double> noise_ratio;       // rel_l2 over the smoothed noise; absent = not measured
  std::optional<double> near_noise_ratio;  // the mean of the ratios around it
  std::optional<bool> beyond_noise;        // absent = not measured
  Verdict verdict = Verdict::diverged;
};

struct Summary {
  int n_positions = 0;
  std::optional<int> first_divergence;  // index of the position
  std::optional<int> above_noise;       // beyond the noise yet within the cosine; absent = no noise
  std::optional<double> min_cosine;
  std::optional<int> min_cosine_at;
  std::optional<double> max_abs;
  // Of partial rows, where the cosine and max_abs stay unknown.
  std::optional<int64_t> fewest_common;
  std::optional<double> max_top_rms, max_top_distance;
  std::optional<int> max_top_rms_at;
  std::optional<double> mean_kl, max_kl;
  std::optional<double> top1_agreement;  // share of positions with the same most likely token
  std::optional<double> max_noise_ratio, max_near_noise_ratio;
  bool rounds_alike = false;           // noise.h: the limits of those ratios are the narrow ones
  std::optional<double> median_noise;  // of the smoothed noise, as a relative distance
  std::optional<int> shift;            // +1: the engine's row p is the backend's row p+1
  int n_diverged = 0, n_noise = 0, n_non_finite = 0;
  int n_ties = 0;
};

struct Judgement {
  std::vector<JudgedPosition> positions;
  Summary summary;
  Status status = Status::diverged;
};

// `beyond_noise` absent = no measurement. NaN or Inf on either side, or on both, always diverges.
// auto: below the cosine and beyond the noise (without a measurement: below the cosine).
// cosine: below the cosine. noise: beyond the noise; without a measurement it diverges.
Verdict judge_position(const PositionMetrics& metrics, std::optional<bool> beyond_noise,
                       const Tolerance& tolerance);

// Throws bad_input when there is no position to judge (nothing compared is never agreement), and
// when the gate is `noise` and no noise was measured.
Judgement judge(const Comparison& comparison, const Tolerance& tolerance, const NoiseScale& scale);

}  // namespace crossval
