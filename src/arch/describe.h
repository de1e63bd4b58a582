// What the layers of a model are, in words.
#pragma once

#include <string>
#include <vector>

#include "arch/config.h"

namespace crossval {

// One line for each kind of layer, with the numbers of the layers that are so:
// "0-4, 6: attention 4:1, q/k norm, rope, window 512; feed-forward gelu, 2048 wide".
std::vector<std::string> describe_layers(const Arch& arch, const Config& config);

}  // namespace crossval
