#include "run/saved_noise.h"

#include <cmath>
#include <cstring>
#include <limits>

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

}  // namespace crossval
