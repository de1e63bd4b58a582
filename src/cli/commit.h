// The commit that the program was built from. Only the program knows it, so that a commit rebuilds
// one file and links one program.
#pragma once

#include <string>

namespace crossval {

// Abbreviated; "+" behind it = with changes; "" = unknown.
std::string commit();
// "crossval 0.1.0 (0123456789ab)"
std::string version_line();

}  // namespace crossval
