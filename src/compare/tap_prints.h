// What the tensors of a run were, in eight bytes a row: enough to say whether another run of the
// same engine gave the same bits, and from which tensor on it did not. Rows are told by position,
// so that runs which cut the ids otherwise can be compared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "compare/tap_names.h"
#include "engine/tap.h"

namespace crossval {

// One tap of a run, as the prints of its rows.
struct TapPrint {
  TapKey key;
  bool is_named = true;     // false: told by its operation and how many came before
  bool by_position = true;  // false: no dimension counts the ids, all of it is one row
  bool is_scores = false;   // queries times keys: what its masked entries hold is chance
  int first_position = 0;
  std::vector<uint64_t> rows;  // of first_position, first_position + 1, ...
};

// Tells the tensors of one run apart.
class TapPrinter {
 public:
  // nullopt for caches, views, and what has no floats. `n_tokens`: ids of the graph it belongs to.
  std::optional<TapPrint> print(const Tap& tap, int n_tokens);

 private:
  int first_position_ = -1;
  std::map<TapKey, int> n_seen_;  // in the graph at hand
};

// All prints of the run that others are compared with.
class TapPrints {
 public:
  // How a tap of another run compares with the same tensor here.
  struct Match {
    bool has_partner = false;
    int first_different = -1;  // position; -1 = all rows are the same
    int order = 0;             // the tensor's place in this run's graph
  };
  // What two runs have in common, so that their tensors can be.
  struct Likeness {
    bool same_graph = true;   // the same operations: those without a name are compared by number
    bool same_pieces = true;  // the ids are cut alike and the cache has the same cells
  };

  void add(const TapPrint& print);
  Match match(const TapPrint& print, const Likeness& likeness) const;
  size_t n_tensors() const { return tensors_.size(); }

 private:
  struct Tensor {
    int order = 0;
    std::map<int, uint64_t> rows;  // by position
  };
  std::map<TapKey, Tensor> tensors_;
};

}  // namespace crossval
