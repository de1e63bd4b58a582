// The program itself under cover (docs/security.md): what a command calls once its flags are
// understood and before it reads a byte that a stranger wrote.
#pragma once

#include "backends/own_rights.h"
#include "run/plan.h"

namespace crossval {

// `tell` hears of engines that are set up on the way. Throws backend_failed under `strict` where it
// cannot be done. What was done is said in the results' `run`. Threads may start from here on, as
// that which watches over --deadline does here.
void go_under_cover(Sandbox sandbox, const OwnPlaces& places, const Tell& tell = {});
// Of the commands that have these.
void go_under_cover(const PerTokenOptions& options);
void go_under_cover(const RunOptions& options);
void go_under_cover(const CompareOptions& options);

}  // namespace crossval
