// Where two runs send a token to different experts: a router that gives two experts nearly the same
// probability leaves it to rounding which is chosen, and from there on the runs part, though both
// are right.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "engine/side.h"
#include "engine/tap.h"

namespace crossval {

// The first layer at which a token goes another way.
struct RoutingTie {
  int position = -1, layer = -1;
  int64_t engine_expert = -1, backend_expert = -1;      // each chosen by that side alone
  float engine_probability = 0, other_probability = 0;  // of both, as the backend has them
};

class RoutingTies {
 public:
  explicit RoutingTies(int64_t n_used) : n_used_(n_used) {}

  // Each side from its own thread. Probabilities of experts are looked at, the rest passed over.
  void add(Side side, const Tap& tap, int n_tokens);

  // By position. Only ties: where the probabilities of a token differ by more than a few times what
  // they do for the others of that layer, it is no tie, and nothing is said of that token. Nothing
  // at all of a router that chooses by something else than its probabilities.
  std::vector<RoutingTie> finish() const;

 private:
  using Rows = std::map<int, std::vector<float>>;  // by position
  struct Layer {
    Rows engine, backend;
  };

  int64_t n_used_;
  mutable std::mutex mutex_;
  bool chooses_otherwise_ = false;
  std::map<int, Layer> layers_;
};

}  // namespace crossval
