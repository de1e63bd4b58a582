#include "compare/graph_node.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "engine/tap_rows.h"

namespace crossval {
namespace {

constexpr int64_t kSamples = 256;

std::string base_name(const std::string& name) { return name.substr(0, name.find(" (")); }

// Masked keys have -Inf, or a large negative number.
constexpr float kMasked = -1e4f;

int64_t visible_keys(const TapTensor& mask, int n_tokens) {
  const std::span<const float> values = mask.floats();
  if (values.empty() || mask.ne[1] < n_tokens) return -1;
  const auto row = values.subspan(static_cast<size_t>((n_tokens - 1) * mask.ne[0]),
                                  static_cast<size_t>(mask.ne[0]));
  return std::ranges::count_if(row, [](float value) { return value > kMasked; });
}

GraphSource source_of(const Tap& tap, size_t i, int n_tokens) {
  const TapTensor& tensor = tap.sources[i];
  GraphSource source;
  source.name = base_name(tensor.name);
  source.is_weight = tensor.is_weight;
  source.is_there = tensor.ne[0] > 0;
  source.type = tensor.type;
  source.origin = tensor.origin;
  const bool is_mask = (tap.op == "SOFT_MAX" && i == 1) || (tap.op == "FLASH_ATTN_EXT" && i == 3);
  if (is_mask && source.is_there) source.n_visible = visible_keys(tensor, n_tokens);
  return source;
}

// Scores and their softmax: [keys, positions, heads].
bool has_keys(const Tap& tap, int n_tokens) {
  const bool is_named = tap.name.starts_with("kq") && !tap.name.starts_with("kqv");
  const bool is_masked =
      tap.op == "SOFT_MAX" && tap.sources.size() > 1 && tap.sources[1].ne[0] == tap.out.ne[0];
  return (is_named || is_masked) && tap.out.ne[1] == n_tokens && tap.out.ne[0] >= n_tokens;
}

void take_samples(const Tap& tap, int n_tokens, GraphNode& node) {
  const std::span<const float> values = tap.out.floats();
  const std::optional<TapLayout> layout = tap_layout(tap, n_tokens);
  if (values.empty() || !layout) return;
  // Only the keys of these positions: what lies behind them is padding.
  const bool keys = has_keys(tap, n_tokens);
  const int64_t inner = keys ? n_tokens : layout->inner;
  node.width = keys ? -layout->outer : layout->inner * layout->outer;
  const int64_t n_features = inner * layout->outer;
  node.samples.reserve(kSamples);
  for (int64_t s = 0; s < kSamples; ++s) {
    // Two primes walk over positions and features without repeating a pair soon.
    const int64_t token = s * 7919 % n_tokens, feature = (s * 104729 + s / n_tokens) % n_features;
    const int64_t o = feature / inner, i = feature % inner;
    node.samples.push_back(values[static_cast<size_t>((o * n_tokens + token) * layout->inner + i)]);
  }
}

}  // namespace

bool GraphNode::reads_weight(std::string_view weight) const {
  return std::ranges::any_of(sources, [weight](const GraphSource& source) {
    return source.is_weight && source.name == weight;
  });
}

GraphNode graph_node(const PlacedTap& placed) {
  const Tap& tap = placed.tap;
  GraphNode node;
  node.name = tap.name;
  node.op = tap.op;
  node.occurrence = tap.occurrence;
  node.layer = tap.layer;
  node.index = placed.index;
  node.params = tap.params;
  for (size_t i = 0; i < tap.sources.size(); ++i) {
    node.sources.push_back(source_of(tap, i, placed.n_tokens()));
  }
  take_samples(tap, placed.n_tokens(), node);
  return node;
}

double sampled_distance(const GraphNode& a, const GraphNode& b) {
  assert(!a.samples.empty() && a.samples.size() == b.samples.size());
  double difference = 0, power = 0;
  for (size_t i = 0; i < a.samples.size(); ++i) {
    const double x = a.samples[i], y = b.samples[i];
    if (x == y || (std::isnan(x) && std::isnan(y))) {
      power += std::isfinite(y) ? y * y : 0;
      continue;
    }
    difference += (x - y) * (x - y);
    power += y * y;
  }
  if (difference == 0) return 0;
  const double distance = std::sqrt(difference / power);
  return std::isfinite(distance) ? distance : std::numeric_limits<double>::infinity();
}

}  // namespace crossval
