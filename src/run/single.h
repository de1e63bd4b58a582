// One engine alone over each prompt: its ids, the top tokens of every position, times.
#pragma once

#include "run/plan.h"
#include "run/progress.h"
#include "run/prompts.h"

namespace crossval {

// Returns the worst exit code of the results emitted.
int run_alone(const RunOptions& options, Progress& progress, const Emit<RunReport>& emit);

}  // namespace crossval
