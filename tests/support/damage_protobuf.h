// Damage to a protobuf message that leaves it one mostly: fields changed within their kind, gone,
// there twice, of another place; all lengths fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace crossval::testing {

// One copy in four is damaged_copy's (bytes). The same seed always gives the same damage.
std::string damaged_protobuf(const std::string& good, size_t header_bytes, uint64_t seed);

}  // namespace crossval::testing
