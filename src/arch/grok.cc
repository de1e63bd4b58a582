// Grok-1 and 2: soft caps, scales everywhere, experts and a dense part side by side.
// Source: llama.cpp src/models/grok.cpp.
#include "arch/archs.h"

namespace crossval {

std::vector<Arch> grok_archs() { return {}; }

}  // namespace crossval
