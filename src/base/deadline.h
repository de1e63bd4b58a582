// --deadline: when the whole run has to be over, for everyone who waits for somebody else.
#pragma once

#include <chrono>
#include <optional>

#include "base/error.h"

namespace crossval {

// From now on; once, before anything runs.
void set_run_deadline(std::chrono::milliseconds from_now);
// How long until then, 0 = it has passed; nullopt: there is none.
std::optional<std::chrono::milliseconds> time_to_run_deadline();
// The shorter of a wait's own time and what the run has left, in ms.
int bounded_by_run_deadline(int timeout_ms);
// What is said of a run that was not over by then: backend_failed, "deadline".
Error deadline_error();
// Throws it when the deadline has passed.
void check_run_deadline();

}  // namespace crossval
