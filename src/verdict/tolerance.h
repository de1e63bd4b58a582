// What makes a position diverge: the gate and its bounds (contract: --gate, --cos-tol).
#pragma once

#include <string>

namespace crossval {

enum class Gate { automatic, cosine, noise };

struct Tolerance {
  Gate gate = Gate::automatic;
  double cos_tol = 0.999;
};

// A position is beyond the noise when its distance is more than this many times the noise there.
// Both are samples of the rounding of correct engines, so their ratio scatters around 1. Measured on
// SmolLM2 Q4_1 against llama.cpp v0.5.0: clean pairs reach 3.5 (4,000 positions of 24 prompts).
// The only place where this number stands.
inline constexpr double kNoiseRatioLimit = 6.0;

const char* gate_name(Gate gate);  // "auto", "cosine", "noise"

// Throws bad_input for an unknown gate, or a cos_tol that is not a number in [-1, 1].
Tolerance make_tolerance(const std::string& gate, double cos_tol);

}  // namespace crossval
