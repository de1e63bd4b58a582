// A tap on its way from an engine to those who look at it, with its place in the run.
#pragma once

#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/tap.h"

namespace crossval {

struct PlacedTap {
  Tap tap;                       // first_position and layer put right, see TapPlacer
  int index = 0;                 // of this side's taps in the whole run, from 0
  int graph = 0;                 // of this side's graphs in the whole run, from 0
  std::span<const TokenId> ids;  // of the graph; valid until the next eval

  int n_tokens() const { return static_cast<int>(ids.size()); }
};

// Places the taps of one side. An engine may cut an eval into several graphs (ubatch) and tells of
// none; every graph begins by looking up its ids, and how many tells how far the eval has come.
class TapPlacer {
 public:
  void begin_eval(std::span<const TokenId> ids);
  PlacedTap place(Tap&& tap);

 private:
  std::vector<TokenId> ids_;       // of the eval
  std::span<const TokenId> here_;  // of the graph at hand
  size_t n_seen_ = 0;              // ids of the eval that belong to graphs so far
  int n_taps_ = 0, graph_ = -1;
  int layer_ = -1;  // of the latest tap that says it
};

}  // namespace crossval
