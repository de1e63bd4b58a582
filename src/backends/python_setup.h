// `crossval setup hf`: an environment for a worker in Python, made or taken, tried on a tiny model
// and remembered; and preflight, which says what is missing.
#pragma once

#include <functional>
#include <string>

#include "backends/backends.h"
#include "backends/preflight.h"

namespace crossval {

struct PythonSetup {
  std::string backend;  // "hf"
  std::string python;   // whose packages are taken, or which makes the environment; "" = python3
  bool remember = true;
  bool force = false;                                   // make our own environment again
  std::function<void(const std::string&)> on_progress;  // one line each; may be empty
};

// Throws bad_input (wrong flags) or backend_failed (no Python, packages missing, probe failed).
BackendStatus setup_python(const PythonSetup& options);

// Looks at files only; with `start_it` the worker also runs a tiny model.
BackendStatus preflight_python(const Backend& row, bool start_it);

}  // namespace crossval
