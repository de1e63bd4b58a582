// The noise that `compare` judges two saved runs with: kept in the engine's file by `per-token`, or
// measured now over the model that both ran.
#pragma once

#include <optional>
#include <vector>

#include "compare/comparison.h"
#include "engine/trace_file.h"
#include "run/loaded_model.h"
#include "run/progress.h"
#include "verdict/noise.h"

namespace crossval {

// As the capture `rounding_noise#0`, F32 [n_positions]; NaN where it was not measured.
void save_noise(const Comparison& comparison, TraceWriter& trace);
// Empty when the trace has none.
std::vector<std::optional<double>> load_noise(const TraceFile& trace);

// By native's two arithmetics over the same ids, by position index, none before `first_row`. Throws
// bad_input where native does not run the model.
struct MeasuredNoise {
  std::vector<std::optional<double>> rounding;
  NoiseScale scale;
};
MeasuredNoise measure_noise(LoadedModel& model, const std::vector<TokenId>& ids, int first_row,
                            Progress& progress);

}  // namespace crossval
