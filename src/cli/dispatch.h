// Arguments -> the command they name -> its exit code. Nothing is computed here. What cannot be
// parsed, and what nobody foresaw, ends as the command's own result with an error.
#pragma once

#include <functional>

#include "cli/commands.h"

namespace crossval {

using Runner = std::function<int(const Action&)>;

// `run` is given what the arguments ask for, when they ask for something.
int dispatch(int argc, char** argv, const Runner& run);

}  // namespace crossval
