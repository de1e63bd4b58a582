// SHA-256 of a file, as 64 lower-case hex digits.
#pragma once

#include <string>

namespace crossval {

// Reads the file in pieces (it is not mapped, so the resident size does not grow with it). May run
// on any thread. Throws bad_input when the file cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace crossval
