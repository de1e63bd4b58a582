// Names of the files that runs over several prompts are saved in: one a prompt.
#pragma once

#include <string>

namespace crossval {

// "dir/engine.safetensors" -> "dir/engine-0003.safetensors" for prompt number 3; as it is for 0,
// the only prompt.
std::string saved_path(const std::string& path, int number);

}  // namespace crossval
