// Whether a backend can be used now, and if not, the exact command that makes it usable.
#pragma once

#include <string>
#include <vector>

#include "backends/backends.h"
#include "backends/locate.h"

namespace crossval {

enum class BackendState { ready, not_set_up, broken };
const char* backend_state_name(BackendState state);  // "ready", "not set up", "broken"

struct BackendStatus {
  std::string name, display_name;  // as find_engine takes it: "llama", "llama:old", "mine"
  std::string kind = "library";    // "library", "python", "program", "server", "builtin"
  std::string build;               // name of a build; "" = the default one
  BackendState state = BackendState::not_set_up;
  std::string dir;         // the engine's folder, "" when unknown
  std::string dir_source;  // "LLAMA_CPP_DIR", "setup", "system"
  std::string library, version, api_era, commit, device;
  std::string worker;                 // path of the worker, "" when not built
  std::vector<std::string> argv;      // what starts it, where it is ready
  std::vector<std::string> folders;   // of the engine, which its worker reads
  std::vector<std::string> searched;  // where we looked
  std::string reason;                 // why it is not ready
  std::string fix;                    // the command to run
  std::string hint;                   // what to know for it; may be empty
};

// A library's default build, or a Python worker's environment. Looks at files only; with `start_it`
// the worker also runs a tiny model.
BackendStatus preflight(const Backend& spec, bool start_it);
// The one in this folder.
BackendStatus preflight_dir(const Backend& spec, const EngineDir& dir, bool start_it);
// Libraries with their named builds, programs, and what is built in.
std::vector<BackendStatus> preflight_all(bool start_them);

}  // namespace crossval
