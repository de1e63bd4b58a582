// What `trace --self` changes about an engine, one row each, and what a correct engine may do then.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

namespace crossval {

struct SelfSetting {
  std::string name;
  std::string changed;            // in words, for the report
  std::vector<std::string> opts;  // --backend-opt K=V, after the user's own
  int n_threads = 0;              // 0 = as before
  bool one_at_a_time = false;     // each id an eval of its own
  bool same_worker = false;       // the process that ran first, after a reset
  bool show_tensors = true;
  // Not a bit may change. Else sums may be in another order, or rounded otherwise.
  bool must_be_equal = false;
  bool same_graph = false;   // the same operations, in the same order
  bool same_pieces = false;  // the ids are cut alike, the cache has as many cells
  bool may_refuse = false;   // an engine need not have this
};

// Those that differ from how the engine ran at first: `info` after a reset.
std::vector<SelfSetting> self_settings(const EngineInfo& info, int n_ids, bool has_tensors);

}  // namespace crossval
