// The noise of a run, kept in the saved trace of its engine side, so that `compare` can judge the
// two files as `per-token` judged the run.
#pragma once

#include <optional>
#include <vector>

#include "compare/comparison.h"
#include "engine/trace_file.h"

namespace crossval {

// As the capture `rounding_noise#0`, F32 [n_positions]; NaN where it was not measured.
void save_noise(const Comparison& comparison, TraceWriter& trace);
// Empty when the trace has none.
std::vector<std::optional<double>> load_noise(const TraceFile& trace);

}  // namespace crossval
