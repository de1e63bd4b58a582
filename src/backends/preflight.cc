// ready / not set up / broken, told from files and, when asked, from the worker itself.
#include "backends/preflight.h"

#include <filesystem>

#include "backends/build_worker.h"
#include "backends/locate.h"
#include "backends/probe_worker.h"
#include "backends/state_dir.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

std::string setup_command(const BackendSpec& spec, const std::string& dir) {
  return program_command() + " setup " + std::string(spec.name) + " --dir " +
         (dir.empty() ? "DIR" : shell_quoted(dir));
}

BackendStatus not_ready(BackendStatus status, BackendState state, std::string reason,
                        std::string fix, std::string hint = "") {
  status.state = state;
  status.reason = std::move(reason);
  status.fix = std::move(fix);
  status.hint = std::move(hint);
  return status;
}

}  // namespace

const char* backend_state_name(BackendState state) {
  switch (state) {
    case BackendState::ready:
      return "ready";
    case BackendState::not_set_up:
      return "not set up";
    case BackendState::broken:
      return "broken";
  }
  return "broken";
}

BackendStatus preflight(const BackendSpec& spec, bool start_it) {
  BackendStatus status;
  status.name = spec.name;
  status.display_name = spec.display_name;
  const EngineSearch search = find_engine_dir(spec);
  status.searched = search.searched;
  if (!search.found) {
    return not_ready(status, BackendState::not_set_up, "no " + status.display_name + " was found",
                     setup_command(spec, ""),
                     "DIR is where it is built or installed; " + std::string(spec.how_to_get));
  }
  status.dir = search.found->dir.string();
  status.dir_source = search.found->source;
  const std::string setup = setup_command(spec, status.dir);
  std::error_code ignored;
  if (!fs::is_directory(status.dir, ignored)) {
    return not_ready(status, BackendState::broken,
                     "the folder that " + status.dir_source + " names is not there: " + status.dir,
                     setup_command(spec, ""), "DIR is where " + status.display_name + " is now");
  }
  const auto libraries = find_libraries(spec, status.dir);
  if (!libraries) {
    return not_ready(status, BackendState::broken,
                     has_static_library(spec, status.dir)
                         ? "only a static libllama.a is in " + status.dir
                         : "no libllama.so is in " + status.dir + " or its usual folders",
                     setup, "first " + std::string(spec.how_to_get));
  }
  status.library = libraries->llama.string();
  status.version = version_from_files(status.dir);
  const fs::path worker = worker_dir(spec.name, status.dir) / "crossval-worker";
  if (!fs::exists(worker, ignored)) {
    return not_ready(status, BackendState::not_set_up, "its worker is not built for " + status.dir,
                     setup);
  }
  status.worker = worker.string();
  const WorkerStamp stamp = read_stamp(worker.parent_path());
  status.api_era = stamp.api_era;
  if (!stamp.version.empty()) {
    status.version = stamp.version;
  }
  const std::string stale = why_stale(stamp, *libraries);
  if (!stale.empty()) {
    return not_ready(status, BackendState::not_set_up, stale, setup);
  }
  if (start_it) {
    try {
      const WorkerHello hello = probe_worker(spec, status.worker);
      status.version = hello.version;
      status.api_era = hello.api_era;
    } catch (const Error& error) {
      return not_ready(status, BackendState::broken, "it does not run a tiny model: " + error.what_,
                       setup);
    }
  }
  status.state = BackendState::ready;
  return status;
}

std::vector<BackendStatus> preflight_all(bool start_them) {
  std::vector<BackendStatus> all;
  for (const BackendSpec& spec : all_backends()) {
    all.push_back(preflight(spec, start_them));
  }
  return all;
}

}  // namespace crossval
