// Damage to a program's text that leaves it one mostly: words gone, there twice, or of another
// place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace crossval::testing {

// One copy in four is damaged_copy's (bytes). The same seed always gives the same damage.
std::string damaged_words(const std::string& good, size_t header_bytes, uint64_t seed);

}  // namespace crossval::testing
