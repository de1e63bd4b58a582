// What is measured between two rows of logits, and the table of metrics: name, column, meaning.
// A metric that cannot be computed (a zero row) or was not asked for is absent. Of rows with NaN or
// Inf the tokens are compared whose logits are finite on both sides.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace crossval {

// k of topk_overlap.
inline constexpr int kTopK = 10;
// A top-1 flip is a tie when the two candidates moved against each other by no more than this many
// times the typical distance of a single logit; see Top1.
inline constexpr double kTieSpread = 4.0;

// The most likely token on each side; absent where a side has NaN or Inf.
// A flip needs gap_engine + gap_backend = the difference of two logits' errors, which is always
// within 2*max_abs, so max_abs cannot tell a tie from a fault. The typical error of one logit is
// the standard deviation s of (engine - backend) over the row, and that of a difference of two is
// sqrt(2) s. `tie`: the flip's two gaps together are within kTieSpread * s (2.8 deviations).
struct Top1 {
  std::optional<TokenId> engine, backend;
  std::optional<bool> match;
  std::optional<bool> tie;  // false when match
};

struct PositionMetrics {
  std::optional<double> cosine;
  std::optional<double> l2;      // ||e-b||
  std::optional<double> rel_l2;  // ||e-b|| / ||b||
  std::optional<double> mse;
  std::optional<double> max_abs;
  std::optional<TokenId> max_abs_token;
  std::optional<double> kl;  // KL(backend || engine), nats
  Top1 top1;
  std::optional<double> topk_overlap;
  // Of rows of which one side gives its likeliest tokens alone (top_pair.h), where everything above
  // that needs whole rows stays absent. Differences are of log-probabilities, in nats.
  bool is_partial = false;
  std::optional<int64_t> n_common;  // tokens that both sides gave
  std::optional<double> top_rms, top_max;
  std::optional<TokenId> top_max_token;
  std::optional<double> top_distance;     // top_rms over the size of the row, as rel_l2
  std::optional<double> kl_low, kl_high;  // KL(backend || engine) lies between them
  std::optional<int64_t> rank;            // of the backend's choice in the engine's row, 1 = first
  int64_t non_finite_engine = 0, non_finite_backend = 0;
  // Of the rows of the table that have a `value`, by their place in it.
  std::map<size_t, std::optional<double>> values = {};

  bool finite() const { return non_finite_engine == 0 && non_finite_backend == 0; }
  bool distance_is_known() const { return is_partial ? top_distance.has_value() : l2.has_value(); }
  // What noise is measured in.
  const std::optional<double>& distance() const { return is_partial ? top_distance : rel_l2; }
};

class RowPair;

// What a metric can be computed from.
enum class NeededRows {
  whole,  // the logits of all tokens on both sides
  top,    // log-probabilities of the likeliest: said where a side gives no more
  any
};

// A row of the table: from it follow --metrics and its help, the text's column, the keys of the
// JSON, the columns of CSV and docs/json.md.
struct MetricInfo {
  const char* name;     // in --metrics, and the JSON key
  const char* header;   // text column
  int columns;          // its width
  const char* unit;     // "" = none
  const char* meaning;  // one line for --help
  // The metric of a position, one number; absent where it cannot be computed. This is all that a
  // new metric needs. Null for those with members of their own in PositionMetrics, which have:
  std::optional<double> (*value)(RowPair& rows) = nullptr;
  std::string (*cell)(const PositionMetrics&) = nullptr;  // "-" when absent
  // Adds the metric's keys; with null in place of every value when `metrics` is nullptr.
  void (*json)(const PositionMetrics* metrics, nlohmann::ordered_json& out) = nullptr;
  NeededRows needs = NeededRows::whole;
};

// In the order of columns and JSON keys.
std::span<const MetricInfo> metric_table();

// Which rows of the table.
using MetricSet = std::bitset<64>;
MetricSet all_metrics();
bool has(const MetricSet& set, const MetricInfo& row);
bool has(const MetricSet& set, std::string_view name);
// Those of `asked` that such rows have. Throws bad_input where that is none.
MetricSet metrics_for(const MetricSet& asked, bool are_partial);
// "all" or a comma-separated list of names; bad_input names the known ones.
MetricSet parse_metrics(const std::string& list);

// A position's value under a row of the table, as text and as JSON.
std::string metric_cell(const MetricInfo& row, const PositionMetrics& metrics);
void metric_json(const MetricInfo& row, const PositionMetrics* metrics,
                 nlohmann::ordered_json& out);

// The distance family is always computed (verdicts need it); the others when asked for.
// Throws bad_input when the rows differ in length or are empty.
PositionMetrics compare_rows(std::span<const float> engine, std::span<const float> backend,
                             const MetricSet& metrics);

}  // namespace crossval
