// What makes a position diverge: the gate and its bounds (--gate, --cos-tol).
#pragma once

#include <string>

namespace crossval {

enum class Gate { automatic, cosine, noise };

struct Tolerance {
  Gate gate = Gate::automatic;
  double cos_tol = 0.999;
};

// Distance and noise are both samples of what rounding does, so their ratio scatters around 1; the
// geometric mean of n neighbouring ratios scatters less. Beyond the noise is a position whose own
// ratio (n = 1), or the mean of those around it, exceeds 2 e^(1.6/sqrt(n)): 9.9 for one, 2.9
// for 17. Measured on SmolLM2 Q4_1 against llama.cpp v0.5.0: clean pairs reach 5.2 for one and 1.4
// for 17 (5,000 positions of 50 prompts); the weakest of 162 runs with a layer's gate and up
// exchanged, a layer negated or rope scaled by 2 shows 11 and 5.1. The only place where these
// numbers stand.
//
// Where both engines round alike (rounds_alike, noise.h) distances come from flipped roundings
// alone, which cannot lead farther apart than two independent samples of the noise: the bound is
// 1.3 e^(0.84/sqrt(n)), 3.0 for one, 1.6 for 17. Measured with I2_S against bitnet.cpp: clean pairs
// reach 0.93 (5,200 positions of 35 prompts, 5 models); rope with 5 times its base over the 12
// positions of the shortest prompt shows 3.9 to 5.8.
double noise_ratio_limit(int n_ratios, bool rounds_alike);

const char* gate_name(Gate gate);  // "auto", "cosine", "noise"

// Throws bad_input for an unknown gate, or a cos_tol that is not a number in [-1, 1].
Tolerance make_tolerance(const std::string& gate, double cos_tol);

}  // namespace crossval
