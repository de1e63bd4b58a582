// Whether a backend can be used now, and if not, the exact command that makes it usable.
#pragma once

#include <string>
#include <vector>

#include "backends/backends.h"

namespace crossval {

enum class BackendState { ready, not_set_up, broken };
const char* backend_state_name(BackendState state);  // "ready", "not set up", "broken"

struct BackendStatus {
  std::string name, display_name;
  BackendState state = BackendState::not_set_up;
  std::string dir;         // the engine's folder, "" when unknown
  std::string dir_source;  // "LLAMA_CPP_DIR", "setup", "system"
  std::string library, version, api_era;
  std::string worker;                 // path of the worker, "" when not built
  std::vector<std::string> searched;  // where we looked
  std::string reason;                 // why it is not ready
  std::string fix;                    // the command to run
  std::string hint;                   // what to know for it; may be empty
};

// Looks at files only; with `start_it` the worker also runs a tiny model.
BackendStatus preflight(const BackendSpec& spec, bool start_it);
std::vector<BackendStatus> preflight_all(bool start_them);

}  // namespace crossval
