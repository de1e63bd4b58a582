#include "engine/placed_tap.h"

#include <algorithm>
#include <utility>

namespace crossval {

void TapPlacer::begin_eval(std::span<const TokenId> ids) {
  ids_.assign(ids.begin(), ids.end());
  here_ = ids_;
  n_seen_ = 0;
  layer_ = -1;
  ++graph_;
}

PlacedTap TapPlacer::place(Tap&& tap) {
  // A worker may tell of one without rows; a graph has some.
  const bool begins_graph = tap.out.ne[1] > 0 && tap.op == "GET_ROWS" && !tap.sources.empty() &&
                            tap.sources[0].name == "token_embd.weight";
  if (begins_graph) {
    const auto n = static_cast<size_t>(std::clamp<int64_t>(tap.out.ne[1], 0, std::ssize(ids_)));
    n_seen_ = n_seen_ + n > ids_.size() ? 0 : n_seen_;
    if (n_seen_ > 0) ++graph_;
    here_ = std::span<const TokenId>(ids_).subspan(n_seen_, n);
    n_seen_ += n;
  }
  if (!here_.empty()) tap.first_position += static_cast<int>(here_.data() - ids_.data());
  // Nodes without a name belong to the layer around them.
  if (tap.layer >= 0) {
    layer_ = tap.layer;
  } else if (tap.name.empty() || tap.name.starts_with("node_")) {
    tap.layer = layer_;
  }
  return {std::move(tap), n_taps_++, graph_, here_};
}

}  // namespace crossval
