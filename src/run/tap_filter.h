// Which tensors a trace looks at: --layers and --taps.
#pragma once

#include <string>

#include "engine/engine.h"
#include "verdict/trace_analysis.h"

namespace crossval {

// `layers`: "3-7" or "3"; "" = all. `taps`: a regular expression; "" = all. Throws bad_input.
TapFilter tap_filter(const std::string& layers, const std::string& taps);

// Whether it wants every tensor.
bool is_empty(const TapFilter& filter);

// What is seen of an engine's graph through it.
TracePart part_of(const TapFilter& filter, const Engine& engine);

}  // namespace crossval
