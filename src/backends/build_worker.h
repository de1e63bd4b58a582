// `crossval setup`: compiles the worker against the engine in a folder, tries it on a tiny model,
// and remembers the folder. An engine is never built or changed here.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "backends/backends.h"
#include "backends/locate.h"
#include "backends/preflight.h"

namespace crossval {

struct SetupOptions {
  std::string backend;      // "llama", "bitnet", "ik"
  std::string dir;          // where the engine is built or installed
  std::string include_dir;  // its headers, where they are not in `dir`; may be empty
  std::string as = {};      // remember it under this name; "" = as the backend's default
  bool remember = true;     // false: build and probe only
  bool force = false;       // compile even when the worker is up to date
  std::function<void(const std::string&)> on_progress;  // one line each; may be empty
};

// Throws bad_input (wrong flags) or backend_failed (no engine there, no compiler, probe failed).
BackendStatus setup_backend(const SetupOptions& options);

// A program of the user's own that speaks the protocol, remembered under a name. `argv`: the words
// that start it; files among them are remembered with their whole path. Throws as setup_backend.
BackendStatus setup_program(const std::string& name, const std::vector<std::string>& argv,
                            const std::function<void(const std::string&)>& on_progress);

// What a worker was built from, kept beside it.
struct WorkerStamp {
  std::string library;
  int64_t library_bytes = 0;
  int64_t library_mtime = 0;
  std::string sources_hash;
  std::string version, api_era;  // as the probe reported them
};
WorkerStamp read_stamp(const std::filesystem::path& worker_dir);

// "" when the worker still fits the libraries and our sources, else the reason it does not.
std::string why_stale(const WorkerStamp& stamp, const EngineLibraries& libraries);

}  // namespace crossval
