#include "run/saved_noise.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "run/drive.h"
#include "run/noise_runs.h"
#include "run/observers.h"

namespace crossval {
namespace {

constexpr const char* kCaptureName = "rounding_noise#0";

}  // namespace

void save_noise(const Comparison& comparison, TraceWriter& trace) {
  std::vector<float> values(static_cast<size_t>(trace.n_rows()),
                            std::numeric_limits<float>::quiet_NaN());
  bool any = false;
  for (const ComparedPosition& position : comparison.positions()) {
    if (!position.rounding) continue;
    values[static_cast<size_t>(position.index)] = static_cast<float>(*position.rounding);
    any = true;
  }
  if (any) trace.write_capture(kCaptureName, {trace.n_rows()}, values);
}

std::vector<std::optional<double>> load_noise(const TraceFile& trace) {
  const auto found = trace.tensors().find(kCaptureName);
  if (found == trace.tensors().end() || found->second.dtype != "F32" ||
      found->second.shape != std::vector<int64_t>{trace.n_positions()}) {
    return {};
  }
  std::vector<std::optional<double>> noise(static_cast<size_t>(trace.n_positions()));
  for (size_t i = 0; i < noise.size(); ++i) {
    float value = 0;
    std::memcpy(&value, found->second.data.data() + i * sizeof(float), sizeof(float));
    if (std::isfinite(value)) noise[i] = value;
  }
  return noise;
}

MeasuredNoise measure_noise(LoadedModel& model, const std::vector<TokenId>& ids, int first_row,
                            Progress& progress) {
  progress.stage("measuring the rounding noise");
  const NoiseRuns runs;
  const auto rounded = model.open_native(runs.base);
  const auto exact = model.open_native(runs.other);
  const auto n = static_cast<int>(ids.size());
  Steps steps;
  steps.prompt = ids;
  steps.first_row = first_row;
  const auto no_piece = [](TokenId) { return std::string(); };
  RowComparison rows(parse_metrics("rel_l2"),
                     {.n_prompt = n, .first_compared = first_row, .piece = no_piece}, model.pool());
  rounded->reset(n);
  exact->reset(n);
  const Participant sides[] = {{Side::engine, *rounded}, {Side::backend, *exact}};
  Observer* const observers[] = {&rows};
  drive(sides, steps, observers, progress);
  progress.stage("");
  MeasuredNoise noise{std::vector<std::optional<double>>(ids.size()),
                      {exact->n_embd(), exact->n_layers()}};
  for (const ComparedPosition& position : rows.comparison().positions()) {
    noise.rounding[static_cast<size_t>(position.index)] = position.metrics.rel_l2;
  }
  return noise;
}

}  // namespace crossval
