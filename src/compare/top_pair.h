// Two rows of which at least one is partial: a server gives the log-probabilities of its likeliest
// tokens. What both sides know is compared, in nats; of the rest bounds are given, never guesses.
#pragma once

#include <optional>
#include <span>

#include "compare/metrics.h"
#include "engine/top_row.h"

namespace crossval {

// A side's row: whole, or its top.
struct KnownRow {
  std::span<const float> whole;  // logits
  const TopRow* top = nullptr;   // log-probabilities, settled
};

struct SidesOfTops {
  KnownRow engine, backend;          // at least one has a top
  std::span<const float> base = {};  // of native, where no side's row is whole: its size counts
};

// Throws backend_failed where a top names a token that the other side's whole row does not have.
PositionMetrics compare_tops(const SidesOfTops& sides, const MetricSet& metrics);

// How far apart `noise` and `base`, two whole rows, are over the tokens that compare_tops compares,
// in the same measure (PositionMetrics::top_distance). nullopt where that cannot be said.
std::optional<double> top_rounding(const SidesOfTops& sides, std::span<const float> base,
                                   std::span<const float> noise);

}  // namespace crossval
