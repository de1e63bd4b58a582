// What another order of f32 sums would make of a row: for the run that rounding noise is measured
// with. Where weights are exact nothing else differs between two right engines, and a deep or
// chaotic model (or a cache of half floats, whose roundings flip) makes far more of it than it
// began with.
#pragma once

#include <cstdint>

namespace crossval {

// Moves each of n values up or down by 2^-23 of their root mean square. A sum of n products in 32
// partial sums, as vector units make it, rounds by about so much (measured against llama.cpp v0.5.0
// on F32 models). Which way follows from `place` and the element alone.
void disturb_sums(uint64_t place, int n, float* row);

}  // namespace crossval
