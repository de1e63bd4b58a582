// Two saved runs, compared as per-token compares two engines. The noise comes from the engine's
// file when per-token saved it there, or from native over the model; without it the cosine counts,
// and what is below it but may be rounding is inconclusive.
#pragma once

#include "run/plan.h"
#include "run/progress.h"
#include "verdict/report.h"

namespace crossval {

// On an Error the report says so, and holds what was found before.
Report compare_saved(const CompareOptions& options, Progress& progress);

}  // namespace crossval
