// What `crossval trace --self` found: one engine compared with itself, a row for each setting that
// was changed. The key `self` of crossval/trace/1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace crossval {

enum class SelfVerdict { equal, rounding, diverged, refused };
const char* self_verdict_name(SelfVerdict verdict);  // "equal", "rounding", ...

struct SelfRow {
  std::string setting;            // "run again", "ubatch", ...
  std::string changed;            // "--threads 3", "ubatch=8"; "" = nothing
  bool must_be_equal = true;      // nothing may change a bit; else sums may be in another order
  std::optional<bool> bit_equal;  // the logits; absent when refused
  // Of the logits, over all positions compared.
  int n_positions = 0;
  double rel_l2 = 0;        // the largest; NaN with a row that is not finite
  int worst_position = -1;  // -1 = all rows are equal
  double min_cosine = 1;
  int n_top1_changes = 0;
  // The first tensor in the graph's order whose values are not the same; "" = none, or the engine
  // shows no tensors.
  std::string first_tensor, op;
  int occurrence = 0;
  int first_position = -1;  // the first row of it that differs
  int n_recomputed = 0;     // tensors of this run that were recomputed from their own inputs
  int n_failed = 0;         // of them, those rounding does not explain, though it does without
  std::optional<double> largest_ratio;  // error over bound of those that pass
  SelfVerdict verdict = SelfVerdict::refused;
  std::string note;  // the engine's words when it refused; what else there is to say
};

}  // namespace crossval
