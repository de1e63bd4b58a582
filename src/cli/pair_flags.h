// The flags of a comparison of two engines, which per-token and trace share.
#pragma once

#include <CLI/CLI.hpp>

#include "run/plan.h"

namespace crossval {

void add_pair_flags(CLI::App& command, PerTokenOptions& options);

}  // namespace crossval
