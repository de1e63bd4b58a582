// Which crossval this is: one place for `--version`, receipts and saved runs.
#pragma once

#include <string>

namespace crossval {

std::string version();  // "0.1.0"
// Of the sources it was built from, abbreviated; "+" behind it = with changes; "" = unknown.
std::string commit();

}  // namespace crossval
