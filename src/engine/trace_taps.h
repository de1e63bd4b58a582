// The captured tensors of a saved trace: `name#occurrence`, F32, row-major, positions first, each
// with its operation (TraceFile: metadata `taps`). From elsewhere also F16 and BF16, without a
// number, with a batch of 1 in front (docs/trace-file.md).
#pragma once

#include <string>
#include <vector>

#include "engine/tap.h"
#include "engine/trace_file.h"

namespace crossval {

// Room for the taps of one eval of any model we know of, some 60 a layer.
inline constexpr int kMaxSavedTaps = 8192;

// Adds a tap of an eval of n_tokens ids from position 0. The writer needs room for max_saved_taps;
// bad_input beyond. False = not saved: it has no values, or they are no floats.
bool write_tap(TraceWriter& trace, const Tap& tap, int n_tokens);

// A captured tensor in a mapped trace; its values are read by load().
struct SavedTap {
  const TraceTensor* tensor = nullptr;
  std::string name, op;  // op "" in a trace that does not say
  int occurrence = 0;
  int n_rows = 0;  // positions
  // ne is {values of a position, positions}.
  Tap load() const;
};

// Every captured tensor, in the order they were written; empty = the trace has none. They live as
// long as `trace`. Throws bad_input where two have one name and number.
std::vector<SavedTap> saved_taps(const TraceFile& trace);

}  // namespace crossval
