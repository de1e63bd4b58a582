// The environment's facts come from workers/*/environment.py, which runs in the Python in question.
#include "backends/python_setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/probe_worker.h"
#include "backends/run_command.h"
#include "backends/state_dir.h"
#include "base/error.h"
#include "engine/bounded_json.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

// Of torch with its CUDA libraries, as the package index has it for x86-64: measured 5.6 GB, and
// what pip unpacks meanwhile.
constexpr auto kNeededBytes = uint64_t{8} << 30;

using Texts = std::vector<std::string>;

struct Found {
  PythonEnvironment environment;
  Texts missing, other, too_old;  // packages: not there, not as pinned, older than what works

  // Not even those that take gigabytes.
  bool is_empty() const {
    return std::find(missing.begin(), missing.end(), "torch") != missing.end() &&
           std::find(missing.begin(), missing.end(), "transformers") != missing.end();
  }
};

fs::path source_of(const Backend& row) {
  return require_worker_sources("setup " + std::string(row.name)) / "workers" /
         row.python()->source;
}

std::string setup_command(const Backend& row) {
  return program_command() + " setup " + std::string(row.name);
}

// -E: without variables that make it find other packages; -B: it writes nothing.
std::vector<std::string> worker_argv(const Backend& row, const PythonEnvironment& environment) {
  return {environment.python, "-E", "-B", source_of(row).string()};
}

std::vector<std::string> worker_folders(const Backend& row, const PythonEnvironment& environment) {
  std::vector<std::string> folders = environment.folders;
  folders.push_back(source_of(row).string());
  return folders;
}

// pip's and Python's errors begin so; else the end, where tracebacks say what happened.
std::string why_failed(const CommandResult& result) {
  constexpr size_t max_lines = 4;
  std::istringstream in(result.output);
  Texts errors, all;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("ERROR") || line.starts_with("Error")) errors.push_back(line);
    if (!line.empty()) all.push_back(line);
  }
  Texts& lines = errors.empty() ? all : errors;
  if (lines.size() > max_lines) lines.erase(lines.begin(), lines.end() - max_lines);
  return fmt::format("{}:\n{}", result.exit.text(), fmt::join(lines, "\n"));
}

Found look_into(const Backend& row, const std::string& python) {
  const std::string script = (source_of(row) / "environment.py").string();
  const CommandResult result = run_command({python, "-E", "-B", script});
  const size_t begin = result.output.find('{');
  const auto json = parse_bounded(begin == std::string::npos ? "" : result.output.substr(begin));
  Found found;
  try {
    found.environment = {.dir = json.at("dir").get<std::string>(),
                         .python = json.at("python").get<std::string>(),
                         .folders = json.at("folders").get<Texts>()};
    found.missing = json.at("missing").get<Texts>();
    found.other = json.at("other").get<Texts>();
    found.too_old = json.at("too_old").get<Texts>();
  } catch (const nlohmann::json::exception&) {
    backend_failed("no_python", "'" + python + "' does not run as a Python: " + why_failed(result),
                   setup_command(row), "name a Python of 3.10 or later: --python PY");
  }
  return found;
}

void refuse_old(const Backend& row, const Found& found) {
  if (found.too_old.empty()) return;
  backend_failed(
      "python_too_old",
      fmt::format("{} is too old for this worker", fmt::join(found.too_old, ", ")),
      found.environment.python,
      "name another Python (3.10 or later) or environment: " + setup_command(row) + " --python PY");
}

void check_space(const fs::path& dir) {
  fs::path there = dir;
  std::error_code failed;
  while (!fs::exists(there, failed) && there.has_relative_path()) there = there.parent_path();
  const fs::space_info space = fs::space(there, failed);
  if (failed || space.available >= kNeededBytes) return;
  backend_failed("no_space",
                 fmt::format("{:.1f} GB are free there; the environment takes 6, and 2 more while "
                             "it is made",
                             static_cast<double>(space.available) / 1e9),
                 there.string(), "free space, or set CROSSVAL_HOME to a folder elsewhere");
}

// Whole or begun: what was begun is made again from its start.
void make_environment(const Backend& row, const std::string& python, const fs::path& dir,
                      const PythonSetup& options) {
  const auto say = [&](const std::string& line) {
    if (options.on_progress) options.on_progress(line);
  };
  check_space(dir);
  say(
      fmt::format("making a Python environment for {}: about 3 GB are downloaded and 6 GB taken "
                  "in {}",
                  row.display_name, dir.string()));
  say("(a torch for CPUs alone takes 1.5 GB: name an index that has it in PIP_EXTRA_INDEX_URL)");
  std::error_code failed;
  fs::create_directories(dir.parent_path(), failed);
  const CommandResult made = run_command({python, "-E", "-m", "venv", "--clear", dir.string()});
  if (!made.succeeded()) {
    backend_failed("no_venv", "the environment cannot be made: " + why_failed(made), dir.string(),
                   "Debian: apt-get install python3-venv; or name another Python: --python PY");
  }
  const CommandResult installed =
      run_command({(dir / "bin/python").string(), "-m", "pip", "install", "--no-cache-dir",
                   "--progress-bar", "off", "--disable-pip-version-check", "--no-input", "-r",
                   (source_of(row) / "requirements.txt").string()},
                  [&](const std::string& line) {
                    if (line.starts_with("Collecting "))
                      say("  " + line.substr(0, line.find(" (from")));
                    if (line.starts_with("Installing ")) say("  installing them");
                  });
  if (!installed.succeeded()) {
    backend_failed("pip_failed", "pip " + why_failed(installed), dir.string(),
                   "mend that and run it again, or name an environment that has the packages: " +
                       setup_command(row) + " --python PY");
  }
}

// Packages that are there, or an Error that says which are not.
void require_packages(const Backend& row, const Found& found) {
  refuse_old(row, found);
  if (found.missing.empty()) return;
  backend_failed(
      "packages_missing",
      fmt::format("{} has no {}", found.environment.python, fmt::join(found.missing, ", ")),
      found.environment.dir,
      fmt::format("{} -m pip install {}   or let crossval make an environment: {}",
                  shell_quoted(found.environment.python), fmt::join(found.missing, " "),
                  setup_command(row)));
}

// Taken where the user's Python has the packages, or ours is complete; else made.
Found environment_for(const Backend& row, const PythonSetup& options) {
  const std::string python = path_of_program(options.python.empty() ? "python3" : options.python);
  std::error_code ignored;
  if (!fs::is_regular_file(python, ignored)) {
    backend_failed("no_python", "there is no program '" + python + "'", setup_command(row),
                   "install Python 3.10 or later, or name one: --python PY");
  }
  const Found given = look_into(row, python);
  if (!options.python.empty() && !given.is_empty()) {
    require_packages(row, given);
    return given;
  }
  const fs::path dir = user_cache_dir() / "environments" / std::string(row.name);
  const fs::path own = dir / "bin/python";
  if (!options.force && fs::exists(own, ignored)) {
    Found found = look_into(row, own.string());
    if (found.missing.empty() && found.other.empty()) return found;
  }
  if (!given.too_old.empty() && given.too_old.front().starts_with("Python")) {
    refuse_old(row, given);
  }
  make_environment(row, python, dir, options);
  Found made = look_into(row, own.string());
  require_packages(row, made);
  return made;
}

BackendStatus begin_status(const Backend& row) {
  BackendStatus status;
  status.kind = "python";
  status.name = row.name;
  status.display_name = row.display_name;
  return status;
}

// "" = all are there.
std::string missing_package(const Backend& row, const PythonEnvironment& environment) {
  for (const std::string_view package : row.python()->packages) {
    const bool found = std::ranges::any_of(environment.folders, [&](const std::string& folder) {
      std::error_code failed;
      return fs::exists(fs::path(folder) / package / "__init__.py", failed);
    });
    if (!found) return std::string(package);
  }
  return "";
}

}  // namespace

BackendStatus setup_python(const PythonSetup& options) {
  const Backend& row = *find_backend(options.backend);
  const Found found = environment_for(row, options);
  const auto say = [&](const std::string& line) {
    if (options.on_progress) options.on_progress(line);
  };
  if (!found.other.empty()) {
    say(fmt::format("the environment has other versions than this worker was tried with: {}",
                    fmt::join(found.other, ", ")));
  }
  say("trying it on a tiny model: " + found.environment.python);
  const ProbedEngine probed = probe_worker(row, worker_argv(row, found.environment),
                                           worker_folders(row, found.environment));
  if (options.remember) remember_environment(row.name, found.environment);
  BackendStatus status = begin_status(row);
  status.state = BackendState::ready;
  status.dir = found.environment.dir;
  status.dir_source = options.remember ? "setup" : "--python";
  status.version = probed.info.version;
  status.device = probed.info.device;
  status.worker = source_of(row).string();
  return status;
}

BackendStatus preflight_python(const Backend& row, bool start_it) {
  BackendStatus status = begin_status(row);
  const auto fail = [&](BackendState state, std::string reason, std::string hint) {
    status.state = state;
    status.reason = std::move(reason);
    status.fix = setup_command(row);
    status.hint = std::move(hint);
    return status;
  };
  status.searched = {(state_dir() / "backends.json").string()};
  const auto environment = remembered_environment(row.name);
  const std::string how = std::string(row.how_to_get);
  if (!environment) {
    return fail(BackendState::not_set_up, "no Python environment was set up for it", how);
  }
  status.dir = environment->dir;
  status.dir_source = "setup";
  if (!worker_source_root()) {
    return fail(BackendState::broken, "the worker's sources are not beside this program", how);
  }
  std::error_code ignored;
  if (!fs::exists(environment->python, ignored)) {
    return fail(BackendState::broken, "its Python is not there: " + environment->python, how);
  }
  if (const std::string missing = missing_package(row, *environment); !missing.empty()) {
    return fail(BackendState::broken,
                fmt::format("the package {} is no longer in {}", missing, environment->dir), how);
  }
  status.worker = source_of(row).string();
  status.argv = worker_argv(row, *environment);
  status.folders = worker_folders(row, *environment);
  status.state = BackendState::ready;
  if (!start_it) return status;
  try {
    const ProbedEngine probed = probe_worker(row, status.argv, status.folders);
    status.version = probed.info.version;
    status.device = probed.info.device;
  } catch (const Error& error) {
    return fail(BackendState::broken, "it does not run a tiny model: " + error.what_, how);
  }
  return status;
}

}  // namespace crossval
