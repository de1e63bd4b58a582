// Chooses, checks, starts, loads.
#include "backends/open.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "worker/worker_engine.h"

namespace crossval {
namespace {

constexpr std::string_view worker_prefix = "worker:";

// The worker to start; throws when there is none.
std::string worker_path(const std::string& name) {
  if (name.starts_with(worker_prefix)) {
    const std::string path = name.substr(worker_prefix.size());
    std::error_code ignored;
    if (path.empty() || !std::filesystem::is_regular_file(path, ignored) ||
        ::access(path.c_str(), X_OK) != 0) {
      backend_failed("backend_missing", "'" + path + "' is not an executable file",
                     "--backend " + name, "give the path of a worker (docs/protocol.md)");
    }
    return std::filesystem::absolute(path).string();
  }
  const BackendSpec* spec = find_backend(name);
  if (spec == nullptr) {
    bad_input("unknown_backend", "there is no backend '" + name + "'", "--backend",
              "one of: " + backend_names() + ", native, worker:PATH, trace:FILE, all");
  }
  const BackendStatus status = preflight(*spec, false);
  if (status.state != BackendState::ready) {
    const bool broken = status.state == BackendState::broken;
    backend_failed(
        broken ? "backend_broken" : "backend_not_set_up",
        status.display_name + " is " + backend_state_name(status.state) + ": " + status.reason,
        "backend " + status.name,
        "run: " + status.fix + (status.hint.empty() ? "" : "   (" + status.hint + ")"));
  }
  return status.worker;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

BackendChoice choose_backend(const ModelFile& model) {
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.type == GgmlType::I2_S) {
      return {"bitnet", "metadata"};
    }
  }
  const std::string path = lower(model.path());
  if (path.find("bitnet") != std::string::npos) {
    return {"bitnet", "path"};
  }
  if (path.find("llama") != std::string::npos) {
    return {"llama", "path"};
  }
  return {"llama", "default"};
}

bool is_backend_name(const std::string& name) {
  return name.starts_with(worker_prefix) || find_backend(name) != nullptr;
}

void check_backend(const BackendChoice& choice) { worker_path(choice.name); }

std::unique_ptr<Engine> open_backend(const BackendChoice& choice, const LoadOptions& options) {
  const std::string worker = worker_path(choice.name);
  if (::access(options.model.c_str(), R_OK) != 0) {
    bad_input("unreadable_model", "the model cannot be read", options.model,
              "check the path and its permissions");
  }
  auto engine =
      std::make_unique<WorkerEngine>(WorkerLaunch{.argv = {worker},
                                                  .name = backend_display_name(choice.name),
                                                  .timeout_ms = options.timeout_ms,
                                                  .on_message = options.on_message});
  engine->load(options.model, options.n_threads, options.settings);
  return engine;
}

std::vector<std::string> ready_backends() {
  std::vector<std::string> names;
  for (const BackendStatus& status : preflight_all(false)) {
    if (status.state == BackendState::ready) {
      names.push_back(status.name);
    }
  }
  return names;
}

}  // namespace crossval
