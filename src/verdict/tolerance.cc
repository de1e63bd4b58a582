#include "verdict/tolerance.h"

#include <cmath>

#include <fmt/format.h>

#include "base/error.h"

namespace crossval {

const char* gate_name(Gate gate) {
  switch (gate) {
    case Gate::automatic:
      return "auto";
    case Gate::cosine:
      return "cosine";
    case Gate::noise:
      return "noise";
  }
  return "unknown";
}

Tolerance make_tolerance(const std::string& gate, double cos_tol) {
  Tolerance tolerance;
  if (!(cos_tol >= -1 && cos_tol <= 1)) {  // NaN fails too
    bad_input("bad_cos_tol", fmt::format("{} is not a cosine", cos_tol), "--cos-tol",
              "give a number from -1 to 1, for example 0.999");
  }
  tolerance.cos_tol = cos_tol;
  for (const Gate known : {Gate::automatic, Gate::cosine, Gate::noise}) {
    if (gate != gate_name(known)) continue;
    tolerance.gate = known;
    return tolerance;
  }
  bad_input("unknown_gate", fmt::format("'{}' is not a gate", gate), "--gate",
            "choose from: auto, cosine, noise");
}

double noise_ratio_limit(int n_ratios, bool rounds_alike) {
  const double root = std::sqrt(static_cast<double>(n_ratios));
  return rounds_alike ? 1.3 * std::exp(0.84 / root) : 2.0 * std::exp(1.6 / root);
}

}  // namespace crossval
