// A product with the matrices of the experts that were chosen; MUL_MAT_ID and ik_llama.cpp's fused
// operations are made of it.
#pragma once

#include <cstddef>

#include "replay/inputs.h"

namespace crossval {

// Places of the sources: weights [n, rows, experts], x [n, used or 1, tokens], ids [used, tokens].
struct RoutedSources {
  size_t weights, x, ids;
};

// out [rows, used, tokens] under arithmetic number `variant`; false where there are no more.
bool multiply_routed(Inputs& in, const RoutedSources& at, int variant, Recomputed& out);

}  // namespace crossval
