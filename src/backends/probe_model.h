// A model of a few thousand random weights: enough to see an engine load and evaluate something
// before a user's model does.
#pragma once

#include <cstddef>
#include <string>

namespace crossval {

inline constexpr size_t kProbeModelVocab = 96;

// Arch llama, one layer, F32, no vocabulary; always the same. Throws bad_input when the file
// cannot be written.
void write_probe_model(const std::string& path);

}  // namespace crossval
