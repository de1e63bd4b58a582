// Which crossval this is: one place for `--version`, results and saved runs.
#pragma once

#include <string>

namespace crossval {

std::string version();  // "0.1.0", of CMakeLists.txt

}  // namespace crossval
