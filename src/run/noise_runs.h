// The two runs of native whose distance is the rounding noise of a model: by rule its arithmetics.
#pragma once

#include "native/native_engine.h"

namespace crossval {

struct NoiseRuns {
  NativeOptions base = {.numerics = Numerics::ggml};
  NativeOptions other = {.numerics = Numerics::exact, .sums_otherwise = true};
};

}  // namespace crossval
