#include "verdict/noise.h"

#include <algorithm>
#include <cmath>

namespace crossval {
namespace {

constexpr double kUnitRoundoff = 0x1p-24;  // of f32
constexpr NoiseScale kUnknownScale = {4096, 32};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

double summation_floor(const NoiseScale& scale) {
  const double n_embd = scale.n_embd > 0 ? scale.n_embd : kUnknownScale.n_embd;
  const double n_layers = scale.n_layers > 0 ? scale.n_layers : kUnknownScale.n_layers;
  return kUnitRoundoff * std::sqrt(n_embd * n_layers);
}

std::vector<double> smooth_noise(std::span<const std::optional<double>> measured,
                                 const NoiseScale& scale) {
  std::vector<double> known;
  for (const auto& value : measured) {
    if (value && std::isfinite(*value)) known.push_back(*value);
  }
  if (known.empty()) return {};
  const double floor = summation_floor(scale);
  const double run_floor = std::max(floor, kNoiseMedianPart * median(std::move(known)));

  const auto n = static_cast<std::ptrdiff_t>(measured.size());
  std::vector<double> smooth(measured.size(), run_floor);
  for (std::ptrdiff_t p = 0; p < n; ++p) {
    double sum_log = 0;
    int n_near = 0;
    const auto last = std::min(n - 1, p + kNoiseWindow);
    for (auto q = std::max<std::ptrdiff_t>(0, p - kNoiseWindow); q <= last; ++q) {
      if (!measured[q] || !std::isfinite(*measured[q])) continue;
      sum_log += std::log(std::max(*measured[q], floor));
      ++n_near;
    }
    if (n_near > 0) smooth[p] = std::max(smooth[p], std::exp(sum_log / n_near));
    if (measured[p] && std::isfinite(*measured[p])) smooth[p] = std::max(smooth[p], *measured[p]);
  }
  return smooth;
}

bool rounds_alike(std::span<const std::optional<double>> distances,
                  std::span<const std::optional<double>> measured, const NoiseScale& scale) {
  const double least_noise = summation_floor(scale) / kEqualPart;
  for (size_t p = 0; p < measured.size(); ++p) {
    if (!measured[p] || !std::isfinite(*measured[p]) || !distances[p]) continue;
    if (*measured[p] >= least_noise && *distances[p] <= kEqualPart * *measured[p]) return true;
  }
  return false;
}

std::vector<NearRatio> near_ratios(std::span<const std::optional<double>> distances,
                                   std::span<const std::optional<double>> measured,
                                   const NoiseScale& scale) {
  const double floor = summation_floor(scale);
  const auto n = static_cast<std::ptrdiff_t>(measured.size());
  std::vector<NearRatio> near(measured.size());
  for (std::ptrdiff_t p = 0; p < n; ++p) {
    double sum_log = 0;
    const auto last = std::min(n - 1, p + kRatioWindow);
    for (auto q = std::max<std::ptrdiff_t>(0, p - kRatioWindow); q <= last; ++q) {
      if (!measured[q] || !std::isfinite(*measured[q]) || !distances[q]) continue;
      const double ratio = *distances[q] / std::max(*measured[q], floor);
      if (!std::isfinite(ratio) || ratio <= kEqualPart) continue;
      sum_log += std::log(ratio);
      ++near[p].n_ratios;
    }
    if (near[p].n_ratios > 0) near[p].ratio = std::exp(sum_log / near[p].n_ratios);
  }
  return near;
}

}  // namespace crossval
