// Whether an engine that loads can also compute: a library may still die in its first kernel
// (another CPU), so a tiny model is run.
#pragma once

#include <string>
#include <vector>

#include "backends/backends.h"
#include "worker/worker_engine.h"

namespace crossval {

// Starts the worker, loads the probe model, evaluates four ids. Throws backend_failed with what
// went wrong and at which stage.
struct ProbedEngine {
  WorkerHello hello;
  EngineInfo info;  // of the tiny model
};
// `engine_dirs`: where the library of the worker is; none for a program of the user's own.
ProbedEngine probe_worker(const Backend& spec, const std::vector<std::string>& argv,
                          const std::vector<std::string>& engine_dirs);

}  // namespace crossval
