// --deadline: when the whole run has to be over, for everyone who waits for somebody else.
#pragma once

#include <chrono>
#include <optional>

namespace crossval {

// From now on; once, before anything runs.
void set_run_deadline(std::chrono::milliseconds from_now);
// How long until then, 0 = it has passed; nullopt: there is none.
std::optional<std::chrono::milliseconds> time_to_run_deadline();
// The shorter of a wait's own time and what the run has left, in ms.
int bounded_by_run_deadline(int timeout_ms);
// Throws backend_failed ("deadline") when it has passed.
void check_run_deadline();

}  // namespace crossval
