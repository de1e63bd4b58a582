// Whether an engine that loads can also compute: a library may still die in its first kernel
// (another CPU), so a tiny model is run.
#pragma once

#include <filesystem>

#include "backends/backends.h"
#include "worker/worker_engine.h"

namespace crossval {

// Starts the worker, loads the probe model, evaluates four ids. Throws backend_failed with what
// went wrong and at which stage.
WorkerHello probe_worker(const BackendSpec& spec, const std::filesystem::path& worker);

}  // namespace crossval
