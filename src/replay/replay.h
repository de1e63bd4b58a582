// Recomputes one tensor of an engine's run from that engine's own inputs, and says how far the
// engine may be off by rounding alone. Nothing accumulates: each tap is judged by itself.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "engine/tap.h"
#include "replay/weight_source.h"

namespace crossval {

// Of an expected ARGSORT: how many of the indices are read; 0 = all. ggml has no word there.
inline constexpr size_t kArgsortNRead = 15;

enum class ReplayStatus {
  replayed,
  view,            // nothing is computed (RESHAPE, VIEW, ...)
  unknown_op,      // or a variant, or a type, that is not replayed
  missing_weight,  // a source is a weight that the model file does not have
  missing_data,    // a source or the result was not captured
  bad_shape        // sources do not fit the operation, or each other
};
const char* status_name(ReplayStatus status);  // "replayed", "unknown op", ...

// The part of a tensor that is worst against its bound.
struct Deviation {
  int64_t index = -1;  // -1 = there is none
  double error = 0;    // relative: |difference| / |expected| over the part
  double ratio = 0;    // error / bound
};

struct Replayed {
  ReplayStatus status = ReplayStatus::unknown_op;
  std::string reason;      // why it was not replayed
  std::string arithmetic;  // which of the admissible roundings fits best: "f32", "q8_0", ...

  std::vector<float> expected;     // packed as Tap::out
  double rel_l2 = 0;               // |out - expected| / |expected|; inf where only expected is 0
  double floor = 0;                // the rel_l2 that the bound allows over the whole tensor
  double ratio = 0;                // largest error / bound of all parts; above 1 = not rounding
  Deviation element, row, column;  // column = one ne[0] index over all rows
  int64_t n_born = 0;  // NaN or Inf here, while all inputs and what is expected are finite
  int64_t n_lost = 0;  // finite here, while NaN or Inf is expected
  bool passes() const { return status != ReplayStatus::replayed || ratio <= 1; }
};

// `out`: what the engine computed. `operation`: what it should have computed, and from what; a tap
// is one itself. Never throws for what makes no sense: the status says so.
Replayed replay(const Operation& operation, const TapTensor& out, const WeightSource& weights,
                ThreadPool& pool);
inline Replayed replay(const Tap& tap, const WeightSource& weights, ThreadPool& pool) {
  return replay(tap, tap.out, weights, pool);
}

// A tensor as floats, whatever its type; integers as their value. Empty where the type or the size
// of the data makes no sense.
class TapValues {
 public:
  explicit TapValues(const TapTensor& tensor);
  TapValues(const TapValues&) = delete;
  TapValues& operator=(const TapValues&) = delete;
  std::span<const float> get() const { return values_; }

 private:
  TapData keeps_;
  std::vector<float> converted_;
  std::span<const float> values_;
};

}  // namespace crossval
