// From a backend's name to a loaded Engine, and from a model to the backend that suits it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/preflight.h"
#include "engine/engine.h"
#include "gguf/model_file.h"
#include "worker/channel.h"

namespace crossval {

// `selected_by`: "flag", "metadata", "path", "default" (contract: JSON of per-token).
struct BackendChoice {
  std::string name;  // "llama", "bitnet", "ik", "worker:PATH"
  std::string selected_by = "flag";
};

struct LoadOptions {
  std::string model;
  int n_threads = 1;
  std::map<std::string, std::string> settings;  // --backend-opt
  int timeout_ms = 600'000;                     // per worker message
  MessageHook on_message;                       // --verbose; may be empty
};

// "auto": the model's metadata, then its path, then llama (contract: "Backend auto").
BackendChoice choose_backend(const ModelFile& model);

// True for names open_backend takes: those of the table and worker:PATH.
bool is_backend_name(const std::string& name);

// Before any model is opened: throws backend_failed with the setup command when the backend
// cannot be used, bad_input for an unknown name.
void check_backend(const BackendChoice& choice);

// Starts the worker and loads the model: check_backend included.
std::unique_ptr<Engine> open_backend(const BackendChoice& choice, const LoadOptions& options);

// Names of all that are ready, for `--backend all`.
std::vector<std::string> ready_backends();

}  // namespace crossval
