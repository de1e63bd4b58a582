#include "compare/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>

#include "engine/tap_rows.h"

namespace crossval {
namespace {

// llama.cpp llama-graph.cpp `build_moe_ffn`: the names of what a router gives, and of what it
// chooses by where that is something else (a bias for each expert, groups of experts).
constexpr std::string_view kProbabilities = "ffn_moe_probs-", kBiased = "ffn_moe_probs_biased-",
                           kMasked = "ffn_moe_probs_masked-";

// How many times the median distance of a layer's tokens is still rounding.
constexpr double kOutlier = 4;

std::vector<int64_t> largest(std::span<const float> row, int64_t n) {
  std::vector<int64_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
  });
  order.resize(std::min(row.size(), static_cast<size_t>(n)));
  return order;
}

// The first of `chosen` that is not among `others`.
std::optional<int64_t> only_in(std::span<const int64_t> chosen, std::span<const int64_t> others) {
  for (const int64_t one : chosen) {
    if (std::ranges::find(others, one) == others.end()) return one;
  }
  return std::nullopt;
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  return std::sqrt(sum);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

void RoutingTies::add(Side side, const Tap& tap, int n_tokens) {
  const bool chooses_otherwise = tap.name.starts_with(kBiased) || tap.name.starts_with(kMasked);
  const bool is_probabilities =
      tap.name.starts_with(kProbabilities) && (tap.op == "SOFT_MAX" || tap.op == "SIGMOID");
  if (!chooses_otherwise && !is_probabilities) return;
  const std::optional<TapRows> rows = chooses_otherwise ? std::nullopt : tap_rows(tap, n_tokens);
  const std::lock_guard lock(mutex_);
  chooses_otherwise_ = chooses_otherwise_ || chooses_otherwise;
  if (!rows || !rows->by_position || (side != Side::engine && side != Side::backend)) return;
  Layer& layer = layers_[tap.layer];
  Rows& kept = side == Side::engine ? layer.engine : layer.backend;
  for (int position = rows->first_position; position < rows->end_position(); ++position) {
    const std::span<const float> row = rows->row(position);
    kept[position].assign(row.begin(), row.end());
  }
}

std::vector<RoutingTie> RoutingTies::finish() const {
  const std::lock_guard lock(mutex_);
  std::map<int, std::optional<RoutingTie>> ties;  // the first parting; empty: it is no tie
  if (chooses_otherwise_) return {};
  for (const auto& [number, layer] : layers_) {
    std::map<int, double> distances;
    std::vector<double> all;
    for (const auto& [position, ours] : layer.engine) {
      const auto theirs = layer.backend.find(position);
      if (theirs == layer.backend.end() || theirs->second.size() != ours.size()) continue;
      all.push_back(distances[position] = distance(ours, theirs->second));
    }
    if (all.empty()) continue;
    const double usual = median(all);
    for (const auto& [position, far] : distances) {
      if (ties.contains(position)) continue;
      const std::vector<float>& ours = layer.engine.at(position);
      const std::vector<float>& theirs = layer.backend.at(position);
      const auto by_engine = largest(ours, n_used_), by_backend = largest(theirs, n_used_);
      const auto engine_expert = only_in(by_engine, by_backend);
      const auto backend_expert = only_in(by_backend, by_engine);
      if (!engine_expert || !backend_expert) continue;
      auto& tie = ties[position];
      if (!(far <= kOutlier * usual)) continue;
      tie = RoutingTie{position,
                       number,
                       *engine_expert,
                       *backend_expert,
                       theirs[static_cast<size_t>(*engine_expert)],
                       theirs[static_cast<size_t>(*backend_expert)]};
    }
  }
  std::vector<RoutingTie> found;
  for (const auto& [position, tie] : ties) {
    if (tie) found.push_back(*tie);
  }
  return found;
}

}  // namespace crossval
