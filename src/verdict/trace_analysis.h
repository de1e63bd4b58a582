// Judges the taps of one engine's run as they come: each recomputed from its own inputs with the
// model file's weights and hyperparameters. The first that rounding cannot explain is explained.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/parallel.h"
#include "engine/engine.h"
#include "engine/tap.h"
#include "replay/causes.h"
#include "replay/expectations.h"
#include "replay/weight_source.h"
#include "verdict/trace_report.h"

namespace crossval {

class TraceAnalysis {
 public:
  // `engine_model`: the file that the engine read, null when it is `model` itself.
  TraceAnalysis(std::shared_ptr<const ModelFile> model,
                std::shared_ptr<const ModelFile> engine_model, std::shared_ptr<ThreadPool> pool);

  // The ids of the eval whose taps follow.
  void begin_eval(std::span<const TokenId> ids);
  // Puts tap.first_position right where the engine cut the eval into several graphs (ubatch).
  void add(Tap& tap);
  // add() in two steps: every tap is placed, then judged, or passed over when it was judged in
  // another run of the same ids, with the same inputs and result.
  void place(Tap& tap);
  void judge(const Tap& tap);
  void pass_over(const Tap& tap);
  // Ids of the graph that the latest tap belongs to.
  int n_tokens() const { return static_cast<int>(current_.size()); }

  // Fills taps, counts and the first divergence. `complete` = nothing was filtered out, so that a
  // weight which no tap read is one the engine does not use.
  void finish(bool complete, TraceReport& report);

 private:
  void find_graph(const Tap& tap);
  void judge(const Tap& tap, TapReport& report);
  // The input that holds something else than what was computed under its name; null = none.
  const TapTensor* find_overwritten(const Tap& tap) const;
  void blame_input(const Tap& tap, const TapTensor& input, TapReport& report);
  void suspect(const Tap& found, const Tap& expected, const std::vector<ParameterFault>& faults,
               const Replayed& replayed, TapReport& report);
  void blame_unused(const std::vector<std::string>& unused, TraceReport& report);

  std::shared_ptr<const ModelFile> model_;
  std::shared_ptr<ThreadPool> pool_;
  Expectations expectations_;
  WeightSource weights_;
  CauseFinder causes_;
  std::vector<TokenId> ids_;          // of the eval
  size_t seen_ = 0;                   // how many of them belong to graphs so far
  std::span<const TokenId> current_;  // of the graph at hand
  std::vector<TapReport> taps_;
  int layer_ = -1;  // of the latest tap that says it
  std::set<std::string> used_weights_;
  std::set<std::string> not_replayed_;
  // Hashes of the results of this eval, by name.
  std::unordered_map<std::string, std::vector<uint64_t>> written_;
  std::optional<TraceDivergence> first_;
  size_t first_index_ = 0;
  double largest_clean_ratio_ = 0;
};

// Where the graph itself must be wrong: nothing is off by itself, yet the logits part. Names the
// tensor at which the distance between the two whole runs leaps. Fills report.first_divergence.
void blame_leap(TraceReport& report);

}  // namespace crossval
