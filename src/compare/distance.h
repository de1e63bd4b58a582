// Distance family of two rows of logits: cosine, l2, rel_l2, mse, max_abs come from these sums.
// Sums are doubles in eight fixed lanes, so every CPU path gives the same bits; a double holds the
// square of any f32, so finite rows always give finite sums.
#pragma once

#include <cstdint>
#include <span>

namespace crossval {

struct DistanceSums {
  double dot = 0;      // sum of e*b
  double ee = 0;       // sum of e^2: finite exactly when all of e is
  double bb = 0;       // sum of b^2
  double dd = 0;       // sum of (e-b)^2; 0 exactly when the rows are equal
  double d = 0;        // sum of (e-b), for the mean shift between the rows
  double max_abs = 0;  // largest |e-b|
};

// Both rows have the same length. With NaN or Inf in a row the sums it enters are not finite.
DistanceSums distance_sums(std::span<const float> engine, std::span<const float> backend);
DistanceSums distance_sums_scalar(std::span<const float> engine, std::span<const float> backend);

// First index where |e-b| == max_abs.
int64_t find_max_abs(std::span<const float> engine, std::span<const float> backend, double max_abs);

// How many entries are NaN or infinite.
int64_t count_non_finite(std::span<const float> row);

// ||a-b|| / ||b||: what noise is measured in. NaN when it cannot be computed (NaN, Inf, ||b|| = 0
// with a different from b).
double relative_distance(std::span<const float> a, std::span<const float> b);

}  // namespace crossval
