// What the program was called with, for the results' `run`.
#pragma once

#include <string>
#include <vector>

#include "verdict/report.h"

namespace crossval {

// Once, at the start.
void remember_command_line(const std::vector<std::string>& args);
// What came of the cover; "" before it was asked for.
void remember_sandbox(const std::string& words);
RunInfo run_info();

}  // namespace crossval
