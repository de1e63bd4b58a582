// An engine that is set up on the way of a run: llama:DIR, LLAMA_CPP_DIR (engine_ref.h).
#pragma once

#include <functional>
#include <string>

#include "backends/build_worker.h"

namespace crossval {

// Tells the user what is being done, a line each; may be empty.
using Tell = std::function<void(const std::string& line)>;

// Compiled and tried, nothing remembered.
SetupOptions early_setup(const BackendStatus& status, const Tell& tell);

// The same in a child process, which leaves ours without threads and children. Returns when it has
// ended, well or not, or the run's deadline has passed.
void set_up_early(const BackendStatus& status, const Tell& tell);

// Throws the Error that set_up_early came to with this engine, if it did.
void throw_early_failure(const BackendStatus& status);

}  // namespace crossval
