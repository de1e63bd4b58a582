// Two rows of logits, with what several metrics need of them: computed when first asked for, once.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "compare/distance.h"
#include "compare/topk.h"

namespace crossval {

class RowPair {
 public:
  // Rows of equal length, not empty, that outlive this.
  RowPair(std::span<const float> engine, std::span<const float> backend);

  std::span<const float> engine() const { return engine_; }
  std::span<const float> backend() const { return backend_; }
  const DistanceSums& sums() const { return sums_; }
  // No NaN and no Inf on either side: a metric of a row that has one is absent.
  bool finite() const;

  // The kTopK largest, largest first.
  const std::vector<TopEntry>& top_engine();
  const std::vector<TopEntry>& top_backend();
  // log of the sum of exp(logit): the log-probability of a token is its logit less this. Of finite
  // rows.
  double log_sum_engine();
  double log_sum_backend();

 private:
  std::span<const float> engine_, backend_;
  DistanceSums sums_;
  std::vector<TopEntry> top_engine_, top_backend_;
  std::optional<double> log_sum_engine_, log_sum_backend_;
};

}  // namespace crossval
