// Several engines over each prompt, every two of them compared, and a vote: who differs from all
// others.
#pragma once

#include <string>

#include "run/plan.h"
#include "run/progress.h"
#include "run/prompts.h"

namespace crossval {

// "a,b" and "all"; not a path that holds a comma.
bool names_several_backends(const std::string& backend);

// Returns the worst exit code of the results emitted.
int compare_all_pairs(const PerTokenOptions& options, Progress& progress,
                      const Emit<ParityReport>& emit);

}  // namespace crossval
