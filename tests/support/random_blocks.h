// Blocks of random bytes with scales that keep weights small: for types that no quantiser of ours
// writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gguf/types.h"

namespace crossval::testing {

// n weights, a whole number of blocks; always the same. Of types whose blocks hold one or two f16
// scales (2^-10 all), and IQ1_M, NVFP4; F16 becomes 2^-10 throughout.
std::vector<std::byte> random_blocks(const TypeInfo& type, int64_t n);

}  // namespace crossval::testing
