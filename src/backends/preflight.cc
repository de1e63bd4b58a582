// ready / not set up / broken, told from files and, when asked, from the worker itself.
#include "backends/preflight.h"

#include <filesystem>

#include "backends/build_worker.h"
#include "backends/locate.h"
#include "backends/probe_worker.h"
#include "backends/python_setup.h"
#include "backends/state_dir.h"
#include "backends/worker_rights.h"
#include "base/error.h"
#include "base/version.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

std::string setup_command(const Backend& spec, const std::string& dir) {
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

BackendStatus begin_status(const Backend& spec) {
  BackendStatus status;
  status.name = spec.name;
  status.display_name = spec.display_name;
  return status;
}

// What the engine says of itself when it is started and runs a tiny model.
void try_out(const Backend& spec, const std::vector<std::string>& argv,
             const std::vector<std::string>& engine_dirs, const std::string& setup,
             BackendStatus& status) {
  try {
    const ProbedEngine probed = probe_worker(spec, argv, engine_dirs);
    status.version = probed.info.version;
    status.api_era = probed.hello.api_era;
    status.commit = probed.info.commit;
    status.device = probed.info.device;
  } catch (const Error& error) {
    status = not_ready(std::move(status), BackendState::broken,
                       "it does not run a tiny model: " + error.what_, setup);
  }
}

// Which server is asked only when one is named.
BackendStatus preflight_server(const Backend& row) {
  BackendStatus status = begin_status(row);
  status.kind = "server";
  status.name += ":" + std::string(row.argument);
  status.display_name = "a server";
  status.worker = server_worker().string();
  status.state = BackendState::ready;
  status.version = version();
  std::error_code ignored;
  if (fs::exists(server_worker(), ignored)) return status;
  return not_ready(status, BackendState::broken, "its worker is not there: " + status.worker,
                   "build or install crossval again: it belongs beside the program");
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

BackendStatus preflight(const Backend& spec, bool start_it) {
  if (spec.python() != nullptr) return preflight_python(spec, start_it);
  const EngineSearch search = find_engine_dir(spec);
  if (search.found) {
    BackendStatus status = preflight_dir(spec, *search.found, start_it);
    status.searched = search.searched;
    return status;
  }
  BackendStatus status = begin_status(spec);
  status.searched = search.searched;
  return not_ready(status, BackendState::not_set_up, "no " + status.display_name + " was found",
                   setup_command(spec, ""),
                   "DIR is where it is built or installed; " + std::string(spec.how_to_get));
}

BackendStatus preflight_dir(const Backend& spec, const EngineDir& dir, bool start_it) {
  BackendStatus status = begin_status(spec);
  status.dir = dir.dir.string();
  status.dir_source = dir.source;
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
  if (!stamp.version.empty()) status.version = stamp.version;
  const std::string stale = why_stale(stamp, *libraries);
  if (!stale.empty()) return not_ready(status, BackendState::not_set_up, stale, setup);
  status.state = BackendState::ready;
  status.argv = {status.worker};
  status.folders = engine_folders(status.dir, status.library);
  if (start_it) try_out(spec, status.argv, status.folders, setup, status);
  return status;
}

std::vector<BackendStatus> preflight_all(bool start_them) {
  std::vector<BackendStatus> all;
  for (const Backend& row : all_backends()) {
    if (std::holds_alternative<Builtin>(row.start)) {
      BackendStatus status = begin_status(row);
      status.kind = "builtin";
      status.state = BackendState::ready;
      status.version = version();
      status.device = "CPU";
      all.push_back(std::move(status));
    }
    if (row.is_server()) all.push_back(preflight_server(row));
    if (!row.is_set_up_by_us()) continue;
    all.push_back(preflight(row, start_them));
    if (row.library() == nullptr) continue;  // has no builds
    for (const auto& [build, dir] : remembered_builds(row.name)) {
      BackendStatus status = preflight_dir(row, {dir, "setup"}, start_them);
      status.build = build;
      status.name += ":" + build;
      all.push_back(std::move(status));
    }
  }
  for (const auto& [name, argv] : remembered_programs()) {
    BackendStatus status = begin_status(program_backend());
    status.kind = "program";
    status.name = status.display_name = name;
    status.worker = argv.front();
    status.dir_source = "setup";
    status.state = BackendState::ready;
    std::string setup = program_command();
    setup.append(" setup ").append(name).append(" --program");
    for (const std::string& word : argv) setup.append(" ").append(shell_quoted(word));
    std::error_code ignored;
    if (!fs::exists(argv.front(), ignored)) {
      status = not_ready(status, BackendState::broken, "its program is not there: " + argv.front(),
                         setup);
    } else if (start_them) {
      try_out(program_backend(), argv, {}, setup, status);
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace crossval
