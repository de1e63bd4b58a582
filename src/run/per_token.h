// Two engines over each prompt: ids first, then the logits at every position, judged against the
// rounding noise that native's two arithmetics show.
#pragma once

#include "run/plan.h"
#include "run/progress.h"
#include "run/prompts.h"

namespace crossval {

// Returns the worst exit code of the results emitted.
int compare_per_token(const PerTokenOptions& options, Progress& progress, const Emit<Report>& emit);

}  // namespace crossval
