#include "compare/row_pair.h"

#include <cmath>

#include "compare/metrics.h"

namespace crossval {
namespace {

double log_sum_exp(std::span<const float> row, float largest) {
  double sum = 0;
  for (const float logit : row) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

}  // namespace

RowPair::RowPair(std::span<const float> engine, std::span<const float> backend)
    : engine_(engine), backend_(backend), sums_(distance_sums(engine, backend)) {}

bool RowPair::finite() const { return std::isfinite(sums_.ee) && std::isfinite(sums_.bb); }

const std::vector<TopEntry>& RowPair::top_engine() {
  if (top_engine_.empty()) top_engine_ = top_k(engine_, kTopK);
  return top_engine_;
}

const std::vector<TopEntry>& RowPair::top_backend() {
  if (top_backend_.empty()) top_backend_ = top_k(backend_, kTopK);
  return top_backend_;
}

double RowPair::log_sum_engine() {
  if (!log_sum_engine_) log_sum_engine_ = log_sum_exp(engine_, top_engine().front().logit);
  return *log_sum_engine_;
}

double RowPair::log_sum_backend() {
  if (!log_sum_backend_) log_sum_backend_ = log_sum_exp(backend_, top_backend().front().logit);
  return *log_sum_backend_;
}

}  // namespace crossval
