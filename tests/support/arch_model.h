// A small random model of any architecture of the table (arch/archs.h), made from its description:
// every key and tensor that it asks for. The same seed always gives the same bytes.
#pragma once

#include <cstdint>
#include <string>

#include "arch/arch.h"

namespace crossval::testing {

// Two layers (three where they are of several kinds), 64 wide, 4 heads; experts, windows and scales
// where the architecture has them.
void write_arch_model(const std::string& path, const Arch& arch, uint64_t seed = 1);

}  // namespace crossval::testing
