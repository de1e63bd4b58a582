#include "native/routing_log.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace crossval {
namespace {

// Of normal deviations one in four hundred is larger.
constexpr double kMaxSigmas = 3;

}  // namespace

void RoutingLog::keep(int layer, int first_position, std::span<const RoutingChoice> choices) {
  const auto at = static_cast<size_t>(layer);
  layers_.resize(std::max(layers_.size(), at + 1));
  layers_[at].resize(static_cast<size_t>(first_position));
  layers_[at].insert(layers_[at].end(), choices.begin(), choices.end());
}

std::vector<NarrowChoice> narrow_choices(const RoutingLog& base, const RoutingLog& other) {
  std::vector<NarrowChoice> narrow;
  std::set<size_t> parted;  // positions
  const size_t n_layers = std::min(base.layers().size(), other.layers().size());
  for (size_t layer = 0; layer < n_layers; ++layer) {
    const auto& a = base.layers()[layer];
    const auto& b = other.layers()[layer];
    const size_t n = std::min(a.size(), b.size());
    double sum_squares = 0;
    int n_moves = 0;
    for (size_t position = 0; position < n; ++position) {
      if (a[position].last != b[position].last) parted.insert(position);
      if (parted.contains(position)) continue;
      const double move = double{a[position].margin} - b[position].margin;
      if (!std::isfinite(move)) continue;
      sum_squares += move * move;
      ++n_moves;
    }
    const double sigma = n_moves > 0 ? std::sqrt(sum_squares / n_moves) : 0;
    for (size_t position = 0; position < n; ++position) {
      const float margin = a[position].margin;
      if (!(margin <= kMaxSigmas * sigma)) continue;
      narrow.push_back(
          {static_cast<int>(position), static_cast<int>(layer), sigma > 0 ? margin / sigma : 0});
    }
  }
  std::ranges::sort(narrow, {}, [](const NarrowChoice& one) {
    return std::tuple(one.position, one.sigmas, one.layer);
  });
  return narrow;
}

}  // namespace crossval
