// What looks at a run: rows compared, rows and tensors saved, tensors judged and paired. Each is an
// Observer of one thing; what a command does is which of them it puts beside each other.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "compare/comparison.h"
#include "compare/graph_node.h"
#include "compare/pair_taps.h"
#include "engine/trace_file.h"
#include "engine/trace_taps.h"
#include "run/drive.h"
#include "verdict/trace_analysis.h"

namespace crossval {

// Engine against backend at every position, with the noise where it is measured.
class RowComparison : public Observer {
 public:
  struct Positions {
    int n_prompt = 0;        // those before it are prompt, those from it on decoded
    int first_compared = 0;  // those before it are passed over
    std::function<std::string(TokenId)> piece;
  };
  RowComparison(MetricSet metrics, Positions positions, ThreadPool& pool)
      : comparison_(metrics), positions_(std::move(positions)), pool_(pool) {}

  void rows(const RowBlock& block) override;

  Comparison& comparison() { return comparison_; }
  double elapsed_ms() const { return elapsed_ms_; }

 private:
  Comparison comparison_;
  Positions positions_;
  ThreadPool& pool_;
  double elapsed_ms_ = 0;
};

// One side's ids, rows and tensors into a file, which is there after finish(), or not at all.
class Recorder : public Observer {
 public:
  Recorder(Side side, const std::string& path, TraceMetadata metadata, int n_vocab,
           int max_captures)
      : side_(side), file_(path, std::move(metadata), n_vocab, max_captures) {}

  void tap(Side side, const PlacedTap& placed) override;
  void rows(const RowBlock& block) override;
  void write(const std::function<void(TraceWriter&)>& body);
  // Throws what went wrong since the beginning: a full disk ends the file, not the run.
  void finish();

 private:
  Side side_;
  TraceWriter file_;
  std::optional<Error> failure_;
};

// Every tensor of one side recomputed from its own inputs.
class TapJudge : public Observer {
 public:
  TapJudge(Side side, TraceAnalysis& analysis) : side_(side), analysis_(analysis) {}
  void tap(Side side, const PlacedTap& placed) override {
    if (side == side_) analysis_.add(placed);
  }

 private:
  Side side_;
  TraceAnalysis& analysis_;
};

// What each side's first graph is made of: that of the prompt, or of its first part.
class GraphRecorder : public Observer {
 public:
  void tap(Side side, const PlacedTap& placed) override {
    if (placed.graph == 0) graphs_[static_cast<size_t>(side)].push_back(graph_node(placed));
  }
  std::vector<GraphNode> take(Side side) { return std::move(graphs_[static_cast<size_t>(side)]); }

 private:
  std::array<std::vector<GraphNode>, kNSides> graphs_;  // each side's thread has its own
};

// The tensors of both sides against each other; both show theirs.
class TapPairs : public Observer {
 public:
  explicit TapPairs(TapPairing& pairing) : pairing_(pairing) {}

  void begin(std::span<const TokenId> ids, int first_position) override;
  void tap(Side side, const PlacedTap& placed) override;
  void end(Side side) override;
  void abort() override { pairing_.abort(); }

 private:
  TapPairing& pairing_;
};

}  // namespace crossval
