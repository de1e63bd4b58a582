// Two runs compared position by position as their rows arrive; keeps metrics and one earlier row
// of each side, never all logits.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "compare/metrics.h"
#include "compare/shift.h"
#include "engine/engine.h"

namespace crossval {

enum class Phase { prompt, decode };
const char* phase_name(Phase phase);

struct TokenText {
  TokenId id = -1;
  std::string text;  // bytes, perhaps not UTF-8
};

// One position's rows, all of n_vocab logits where they are whole.
struct PositionRows {
  int index = 0;  // of the token in the sequence; its row predicts the next one
  Phase phase = Phase::prompt;
  TokenText token;
  std::span<const float> engine;
  std::span<const float> backend;
  // The engine's row under its other arithmetic; empty when there is no noise measurement.
  std::span<const float> rounding;
  // What `rounding` is measured against, where that is not the engine's own row; else empty.
  std::span<const float> rounding_base = {};
  // Of a side that gives its likeliest tokens alone, instead of its row; else null.
  const TopRow* engine_top = nullptr;
  const TopRow* backend_top = nullptr;

  bool are_whole() const { return engine_top == nullptr && backend_top == nullptr; }
};

struct ComparedPosition {
  int index = 0;
  Phase phase = Phase::prompt;
  TokenText token;
  PositionMetrics metrics;
  std::optional<double> rounding;  // relative distance between the engine's two arithmetics
};

class Comparison {
 public:
  explicit Comparison(MetricSet metrics = all_metrics()) : metrics_(metrics) {}

  // Positions in ascending order, all whole or none. Throws bad_input when row lengths differ.
  void add(const PositionRows& rows) { add({&rows, 1}, nullptr); }
  // Several positions at once, spread over the pool when there is one; the same result.
  void add(std::span<const PositionRows> batch, ThreadPool* pool);

  // Noise measured elsewhere, by position index, for positions that have none.
  void set_rounding(std::span<const std::optional<double>> rounding);
  // Rounding was seen to do this much at one position.
  void raise_rounding(int index, double rounding);

  const MetricSet& metrics() const { return metrics_; }
  const std::vector<ComparedPosition>& positions() const { return positions_; }
  // +1: the engine's row p is the backend's row p+1; -1: the other way round.
  std::optional<int> shift() const { return shifts_.shift(); }

 private:
  MetricSet metrics_;
  std::vector<ComparedPosition> positions_;
  ShiftCount shifts_;
  void add_tops(std::span<const PositionRows> batch);

  std::vector<float> last_engine_, last_backend_;
};

}  // namespace crossval
