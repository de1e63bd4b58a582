// A model of a few thousand random weights, made in memory: enough to see an engine load and
// evaluate something before a user's model does.
#pragma once

#include <cstddef>
#include <string>

namespace crossval {

inline constexpr size_t probe_model_vocab = 96;

// The bytes of a GGUF v3 file: arch llama, one layer, F32, no vocabulary. Always the same.
std::string make_probe_model();

}  // namespace crossval
