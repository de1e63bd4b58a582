// Judges the taps of one engine's run as they come: each recomputed from its own inputs with the
// model file's weights and hyperparameters. The first that rounding cannot explain is explained.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/parallel.h"
#include "engine/engine.h"
#include "engine/placed_tap.h"
#include "replay/causes.h"
#include "replay/expectations.h"
#include "replay/weight_source.h"
#include "verdict/trace_report.h"

namespace crossval {

// What of a run's graph was seen. Only where it was all is a weight that nothing reads a fault.
enum class TracePart {
  whole_graph,
  shown,      // what an engine shows that keeps some to itself
  asked_for,  // what --layers or --taps call for, or the run ended early
};

class TraceAnalysis {
 public:
  // `engine_model`: the file that the engine read, null when it is `model` itself.
  TraceAnalysis(std::shared_ptr<const ModelFile> model,
                std::shared_ptr<const ModelFile> engine_model, std::shared_ptr<ThreadPool> pool);

  // Before the first tap: the engine reads the checkpoint that the model file was made from.
  void set_before_rounding() { weights_.set_before_rounding(true); }

  void add(const PlacedTap& placed);
  // Instead of add(), for a tap that was judged in another run of the same ids, with the same
  // inputs and result.
  void pass_over(const PlacedTap& placed);

  // Fills taps, counts and the first divergence. Of a whole graph a weight which
  // no tap read is one the engine does not use.
  void finish(TracePart part, TraceReport& report);

 private:
  using Queries = Expectations::Queries;
  void enter_graph(const PlacedTap& placed);
  Queries queries_of(int layer) const;
  void judge(const PlacedTap& placed, TapReport& report);
  // The input that holds something else than what was computed under its name; null = none.
  const TapTensor* find_overwritten(const Tap& tap);
  void blame_input(const Tap& tap, const TapTensor& input, TapReport& report);
  bool keep(Cause cause, const std::string& explanation, TapReport& report);
  void blame_overflow(const Tap& tap, const std::string& words, TapReport& report);
  void suspect(const PlacedTap& placed, const Expected& expected, const Replayed& replayed,
               TapReport& report);
  void blame_unused(const std::vector<std::string>& unused, TraceReport& report);
  void blame_structure(std::vector<std::string>& unread, TraceReport& report);
  // Puts what was found at a tap in its place among all that was.
  void insert(size_t index, Cause cause, const std::string& explanation,
              const std::string& what = "");

  std::shared_ptr<const ModelFile> model_;
  std::shared_ptr<ThreadPool> pool_;
  Expectations expectations_;
  std::optional<StructureCheck> structure_;
  WeightSource weights_;
  CauseFinder causes_;
  int graph_ = -1;  // at hand
  std::vector<TapReport> taps_;
  std::set<std::string> used_weights_;
  std::set<std::string> not_replayed_;
  struct Written {
    int occurrence;
    GgmlType type;
    std::array<int64_t, 4> ne;
    uint64_t hash;  // of the values
  };
  // The results of this graph, by name: what one graph leaves for the next are caches, which are
  // written to again.
  std::unordered_map<std::string, std::vector<Written>> written_;
  bool tells_origins_ = false;  // the engine does; then what has none is an input or a cache
  std::unordered_map<int, Queries> queries_;  // of this graph's layers
  struct Found {
    size_t index = 0;  // of taps_
    Cause cause = Cause::unknown;
    std::string explanation;
    std::string what;  // of which kind, where the cause does not say it
  };
  std::vector<Found> found_;  // all that are wrong by themselves
  std::optional<TraceDivergence> first_;
  size_t first_index_ = 0;
  double largest_clean_ratio_ = 0;
};

// Groups what is wrong by itself: by cause, and by `what`, or where that is empty by the role of
// the weight where a weight is wrong.
void add_fault(const TapReport& tap, Cause cause, const std::string& explanation,
               std::vector<TraceFault>& faults, const std::string& what = "");
// How much of report.taps was recomputed.
Coverage coverage_of(const TraceReport& report);

// A weight that is NaN or Inf spoils everything from the tensor on that reads it: that one is
// named, unless something before it is wrong as well.
void blame_non_finite_weight(TraceReport& report);

// Where the graph itself must be wrong: nothing is off by itself, yet the logits part. Names the
// tensor at which the distance between the two whole runs leaps. Fills report.first_divergence.
void blame_leap(TraceReport& report);

}  // namespace crossval
