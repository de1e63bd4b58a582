// Damage to lines of JSON that leaves them JSON mostly: values of another kind, of another size, of
// another place, gone, or there twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace crossval::testing {

// One line of `good` differs in one to three values; one copy in four is damaged_copy's (bytes).
// The same seed always gives the same damage. A line without JSON stays.
std::string damaged_json_lines(const std::string& good, size_t header_bytes, uint64_t seed);

}  // namespace crossval::testing
