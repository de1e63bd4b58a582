// The rounding noise of this model at each position: what two correct runs may differ by.
// Measured as the relative distance between the native engine's two arithmetics, then smoothed.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace crossval {

// The model's size, for the least distance that the order of f32 sums alone gives; 0 = unknown.
struct NoiseScale {
  int n_embd = 0;
  int n_layers = 0;
  bool weights_are_exact = false;  // no weight is rounded: nothing but that floor is noise
};

// A sum of n f32 products changes by about 2^-24 sqrt(n) of its size when its order changes (each
// addition rounds by at most half an ulp, and the errors add as a random walk); every layer of the
// stack adds its own, again as a random walk: 2^-24 sqrt(n_embd n_layers). SmolLM2-135M: 8e-6,
// above the 1.2e-7 that llama.cpp shows against itself with another ubatch, whose sums are blocked.
// With an unknown size that of a 7B model counts (4096 x 32).
double summation_floor(const NoiseScale& scale);

// Neighbours on each side in the running mean of the noise, and of the ratios.
inline constexpr int kNoiseWindow = 4;
inline constexpr int kRatioWindow = 8;
// The least that a position counts, as a part of the run's median.
inline constexpr double kNoiseMedianPart = 0.5;

// `measured`: per position, absent where it could not be measured. The result at a position is the
// largest of
//   - its own measurement (a spike there is rounding's own work),
//   - the geometric mean over kNoiseWindow neighbours on each side,
//   - kNoiseMedianPart of the run's median (one lucky position must not raise a false alarm),
//   - the summation floor.
// Empty when nothing at all was measured.
std::vector<double> smooth_noise(std::span<const std::optional<double>> measured,
                                 const NoiseScale& scale);

// A position this close, as a part of its noise, was rounded by both engines to the same codes.
inline constexpr double kEqualPart = 0.01;

// Whether some position shows that both engines round to the same codes: its distance is no more
// than kEqualPart of a noise that stands well above the summation floor. Engines that round
// otherwise, or keep another KV type, are never that close, not even at the first position.
bool rounds_alike(std::span<const std::optional<double>> distances,
                  std::span<const std::optional<double>> measured, const NoiseScale& scale);

// The geometric mean of distance over measured noise within kRatioWindow positions: one sample says
// little about rounding, seventeen say a lot. Positions rounded to the same codes are left out:
// they say nothing of how far apart roundings lead, and would hide a fault that begins beside them.
struct NearRatio {
  double ratio = 0;
  int n_ratios = 0;  // positions in the mean; 0 = nothing known
};
std::vector<NearRatio> near_ratios(std::span<const std::optional<double>> distances,
                                   std::span<const std::optional<double>> measured,
                                   const NoiseScale& scale);

}  // namespace crossval
