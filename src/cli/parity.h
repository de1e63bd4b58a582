// per-token with several backends: the engine and every backend, each two compared, and a vote.
#pragma once

#include <string>
#include <vector>

#include "run/plan.h"

namespace crossval {

// "a,b", "all"; not a worker:PATH or trace:FILE whose own name has a comma.
bool names_several_backends(const std::string& backend);

// One crossval/parity/1 a prompt; returns the worst exit code.
int run_parity(const PerTokenOptions& options);

}  // namespace crossval
