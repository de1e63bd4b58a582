// What `crossval trace` found: every tap with its own error, the first that is not rounding, and
// why. Schema crossval/trace/1.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replay/cause_words.h"
#include "verdict/report.h"
#include "verdict/self_report.h"

namespace crossval {

enum class TapVerdict { ok, diverged, not_replayed };
const char* verdict_name(TapVerdict verdict);  // "ok", "diverged", "not_replayed"

// Between the two whole runs, where both have the tensor.
struct TapDistance {
  double max_abs = 0;
  int worst_position = -1;  // -1 = all rows are equal
  int64_t n_non_finite_engine = 0, n_non_finite_backend = 0;
  bool same_shape = true;
};

struct TapReport {
  std::string tensor, op;
  int occurrence = 0;
  int layer = -1;
  int first_position = 0;  // of the eval it belongs to
  std::string weight;      // the first weight that goes into it; "" = none
  // Between the two whole runs, where the other side has the tensor too; rel_l2 is absent where the
  // shapes differ.
  std::optional<double> rel_l2;
  std::optional<TapDistance> distance;
  // Against what the engine's own inputs call for; absent where it was not recomputed.
  std::optional<double> own_error, floor, ratio;
  std::string arithmetic;  // the rounding of activations that fits: "q8_1", "f32", ...
  TapVerdict verdict = TapVerdict::not_replayed;
  std::string note;         // why it was not replayed
  std::string weight_type;  // of `weight`, as the model file stores it; "" = none, or not in it
  bool is_view = false;     // nothing is computed
};

struct TraceDivergence {
  TapReport tap;
  bool in_engine = false;  // found in the engine's own run, not in the backend's
  int position = 0;        // the worst row's, as a position of the prompt
  int64_t column = -1;     // the worst output, where one stands out; -1 = none
  Cause cause = Cause::unknown;
  std::string explanation;
};

// Tensors that are wrong by themselves, for one reason as far as can be told. Those that only
// inherit are in none.
struct TraceFault {
  Cause cause = Cause::unknown;
  std::vector<std::string> tensors;  // names, each once, in graph order
  std::vector<int> layers;           // of those, ascending; tensors outside the layers add none
  std::vector<std::string> weights;  // that those read, each once
  std::vector<std::string> weight_types;
  std::string explanation;      // of the first
  std::string shared;           // what else they share: the weight's role, or the operation's kind
  std::optional<double> share;  // of the distance between the logits, made by this fault alone
};

// How much of a run was recomputed.
struct Coverage {
  struct OfType {
    std::string type;  // of weights: "Q4_K"
    int n_recomputed = 0, n = 0;
  };
  int n_recomputed = 0, n = 0;         // operations that compute something
  std::vector<OfType> by_weight_type;  // products and look-ups with weights
  int n_unchecked_products = 0;        // with weights, not recomputed
  std::vector<std::string> missing;    // "MUL_MAT with MXFP4", each once
  // Weights that the architecture calls for and that no operation which the engine shows reads, of
  // an engine that keeps some of its graph to itself.
  std::vector<std::string> not_shown;

  bool is_incomplete() const { return n_unchecked_products > 0 || !not_shown.empty(); }
};

// What f32 sums in another order leave between two whole runs: correct engines of one model whose
// activations are not rounded stay below (1.2e-7 between ubatch sizes on lifted SmolLM2; below 1e-5
// on BitNet until a rounding flips). Beyond it two saved runs diverge at a tensor.
inline constexpr double kMaxSavedRounding = 1e-5;

// A tensor that only one of two saved runs has.
struct UnpairedReport {
  std::string tensor;
  int occurrence = 0;
  std::string side;  // "engine", "backend"
};

struct TraceReport {
  Report base;  // model, prompt, both engines, ids, logits where both sides have them, times
  int n_taps = 0;
  int n_replayed = 0;
  int n_diverged = 0;
  std::optional<TraceDivergence> first_divergence;
  std::vector<TraceFault> faults;  // each independent one, in graph order
  Coverage coverage;
  std::vector<TapReport> taps;            // in graph order
  std::vector<UnpairedReport> unpaired;   // trace-diff
  bool of_saved_runs = false;             // trace-diff: nothing is recomputed
  std::vector<std::string> not_replayed;  // operations, each once, with the reason
  // In the model file and read by no operation of a whole trace. Of a known architecture only those
  // that it can do without: the others are faults.
  std::vector<std::string> unread_weights;
  // The whole graph was held against what the architecture calls for: what is missing or too many
  // is among the faults.
  bool structure_checked = false;
  // Two engines: the logits are beyond the tolerance, yet every operation is right in both, and
  // their graphs are alike.
  bool parts_by_rounding = false;
  // The backend reads the checkpoint that the file was made from, and these types of the file have
  // rounded its weights: what operations may be off by, and why the logits part.
  std::vector<std::string> rounded_types;
  bool parameters_checked = false;           // the architecture's parameters are known here
  bool lifted = false;                       // both sides read a copy dequantised to F32
  double largest_clean_ratio = 0;            // of the taps that passed: how near to the bound
  std::optional<std::vector<SelfRow>> self;  // --self: the engine under other settings

  int exit_code() const { return base.exit_code(); }
};

}  // namespace crossval
