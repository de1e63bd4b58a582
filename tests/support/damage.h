// Damaged copies of files, as bad disks, cut downloads and attackers make them. The same seed
// always gives the same damage.
#pragma once

#include <cstdint>
#include <string>

namespace crossval::testing {

// `header_bytes`: where the interesting part of the file ends; most damage is done before it.
std::string damaged_copy(const std::string& good, size_t header_bytes, uint64_t seed);

}  // namespace crossval::testing
