// Compile, probe, remember.
#include "backends/build_worker.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/probe_worker.h"
#include "backends/run_command.h"
#include "backends/state_dir.h"
#include "backends/worker_rights.h"
#include "base/error.h"
#include "engine/bounded_json.h"
#include "worker/worker_engine.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

constexpr const char* kWorkerName = "crossval-worker";

// What a worker is compiled from, below worker_source_root().
std::vector<fs::path> worker_sources(const fs::path& root) {
  std::vector<fs::path> sources;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "workers/llama", error)) {
    if (entry.path().extension() == ".cc" || entry.path().extension() == ".h") {
      sources.push_back(entry.path());
    }
  }
  for (const char* name : {"src/engine/wire.cc", "src/engine/wire.h", "src/engine/worker_side.h",
                           "src/base/error.cc", "src/base/error.h"}) {
    sources.push_back(root / name);
  }
  std::sort(sources.begin(), sources.end());
  return sources;
}

std::string hash_of_sources(const fs::path& root) {
  std::string hash;
  for (const fs::path& source : worker_sources(root)) {
    std::ifstream in(source, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    hash += source.filename().string();
    hash = short_hash(text.str(), hash);
  }
  return hash;
}

int64_t mtime_of(const fs::path& path) {
  std::error_code error;
  const auto time = fs::last_write_time(path, error);
  return error ? 0 : static_cast<int64_t>(time.time_since_epoch().count());
}

WorkerStamp stamp_of(const EngineLibraries& libraries, const fs::path& root) {
  WorkerStamp stamp;
  std::error_code error;
  stamp.library = libraries.llama.string();
  stamp.library_bytes = static_cast<int64_t>(fs::file_size(libraries.llama, error));
  stamp.library_mtime = mtime_of(libraries.llama);
  stamp.sources_hash = hash_of_sources(root);
  return stamp;
}

void write_stamp(const fs::path& dir, const WorkerStamp& stamp) {
  const nlohmann::json json = {{"library", stamp.library},
                               {"library_bytes", stamp.library_bytes},
                               {"library_mtime", stamp.library_mtime},
                               {"sources_hash", stamp.sources_hash},
                               {"version", stamp.version},
                               {"api_era", stamp.api_era}};
  write_state_file(dir / "stamp.json", json.dump(2) + "\n");
}

std::string first_error_lines(const std::string& output) {
  constexpr int max_lines = 6;
  std::istringstream in(output);
  std::string chosen, first;
  int n_chosen = 0, n_first = 0;
  for (std::string line; std::getline(in, line);) {
    if (n_first++ < max_lines) {
      first += "\n" + line;
    }
    if (n_chosen < max_lines && (line.find("error") != std::string::npos ||
                                 line.find("undefined reference") != std::string::npos ||
                                 line.find("cannot find") != std::string::npos ||
                                 line.find("not found") != std::string::npos)) {
      chosen += "\n" + line;
      ++n_chosen;
    }
  }
  return chosen.empty() ? first : chosen;
}

void compile(const Backend& spec, const fs::path& dir, const fs::path& root,
             const EngineLibraries& libraries, const std::vector<fs::path>& headers,
             const fs::path& output) {
  std::vector<std::string> arguments = {"-std=c++20", "-O1", "-w", "-Wfatal-errors", "-pthread"};
  arguments.push_back("-DCROSSVAL_ENGINE_NAME=\"" + std::string(spec.display_name) + "\"");
  arguments.push_back("-DCROSSVAL_ENGINE_VERSION=\"" + version_from_files(dir) + "\"");
  for (const fs::path& folder : headers) {
    arguments.push_back("-I" + folder.string());
  }
  arguments.push_back("-I" + (root / "src").string());
  for (const fs::path& source : worker_sources(root)) {
    if (source.extension() == ".cc") {
      arguments.push_back(source.string());
    }
  }
  arguments.insert(arguments.end(), {"-o", output.string(), "-Wl,--no-as-needed"});
  arguments.push_back(libraries.llama.string());
  for (const fs::path& library : libraries.needed) {
    arguments.push_back(library.string());
  }
  // DT_RPATH, not RUNPATH: it also serves what those libraries ask for, whose own run path may
  // name the machine they were built on (the b3889 package does).
  arguments.insert(arguments.end(),
                   {"-Wl,--disable-new-dtags", "-Wl,--allow-shlib-undefined", "-ldl"});
  for (const fs::path& folder : libraries.dirs) {
    arguments.push_back("-Wl,-rpath," + folder.string());
    arguments.push_back("-Wl,-rpath-link," + folder.string());
  }
  // CXX may be several words, "ccache g++".
  std::vector<std::string> argv = {"/bin/sh", "-c", "exec ${CXX:-c++} \"$@\"", "sh"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const CommandResult result = run_command(argv);
  if (result.succeeded()) return;
  std::error_code ignored;
  fs::remove(output, ignored);
  const char* cxx = std::getenv("CXX");
  const std::string compiler = cxx != nullptr && *cxx != '\0' ? cxx : "c++";
  if (result.exit.exit_code == 127 || result.exit.exit_code == 126) {
    backend_failed("no_compiler", "the C++ compiler '" + compiler + "' cannot be run",
                   "setup " + std::string(spec.name),
                   "install g++ (Debian: apt-get install g++) or set CXX");
  }
  if (result.output.find("nlohmann/json.hpp") != std::string::npos) {
    backend_failed("no_json_header", "the header nlohmann/json.hpp is not on the compiler's path",
                   "setup " + std::string(spec.name), "Debian: apt-get install nlohmann-json3-dev");
  }
  backend_failed("worker_build",
                 "the worker does not compile against this " + std::string(spec.display_name) +
                     " (" + compiler + " " + result.exit.text() +
                     "):" + first_error_lines(result.output),
                 dir.string(),
                 "check that headers and libraries there are of the same version; --include DIR "
                 "names other headers");
}

// Letters, digits, '-', '_' and '.', so that it can stand behind a colon, in a list and in a shell.
void check_new_name(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name.size() <= 64 && name[0] != '-' &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                     });
  if (plain) return;
  bad_input("bad_name", "'" + name + "' cannot be a name", where,
            "use letters, digits, '-', '_' and '.'");
}

// A word that is a file, by its whole path; the first also found on PATH.
std::string whole_path(const std::string& word, bool on_path) {
  if (on_path) return path_of_program(word);
  std::error_code ignored;
  return fs::is_regular_file(word, ignored) ? fs::absolute(word, ignored).string() : word;
}

void say(const SetupOptions& options, const std::string& line) {
  if (options.on_progress) {
    options.on_progress(line);
  }
}

// Compiles, tries and stamps it. Built under another name and renamed: a worker is whole or not
// there.
void build_worker(const SetupOptions& options, const Backend& spec, const fs::path& dir,
                  const fs::path& root, const EngineLibraries& libraries,
                  const std::vector<fs::path>& headers, const fs::path& target) {
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error) {
    bad_input("cannot_write", "the folder cannot be made: " + error.message(),
              target.parent_path().string(), "set CROSSVAL_HOME to a folder you may write to");
  }
  const fs::path fresh = target.string() + ".tmp-" + std::to_string(::getpid());
  struct Remove {
    fs::path path;
    ~Remove() {
      std::error_code ignored;
      fs::remove(path, ignored);
      fs::remove(path.parent_path(), ignored);  // only when nothing else is in it
    }
  } const remove_fresh{fresh};
  say(options, "compiling the worker against " + libraries.llama.string());
  compile(spec, dir, root, libraries, headers, fresh);
  say(options, "trying it on a tiny model");
  const WorkerHello hello =
      probe_worker(spec, {fresh.string()}, engine_folders(dir.string(), libraries.llama.string()))
          .hello;
  WorkerStamp stamp = stamp_of(libraries, root);
  stamp.version = hello.version;
  stamp.api_era = hello.api_era;
  fs::rename(fresh, target, error);
  if (error) {
    bad_input("cannot_write", "the worker cannot be moved into place: " + error.message(),
              target.string(), "free space or permissions there");
  }
  write_stamp(target.parent_path(), stamp);
}

}  // namespace

BackendStatus setup_program(const std::string& name, const std::vector<std::string>& argv,
                            const std::function<void(const std::string&)>& on_progress) {
  check_new_name(name, "setup");
  if (find_backend(name) != nullptr || name == "all" || name == "auto") {
    bad_input("name_taken", "'" + name + "' is the name of another engine", "setup",
              "choose another name");
  }
  if (argv.empty()) {
    bad_input("no_program", "--program names no program", "--program",
              "write: setup " + name + " --program COMMAND [ARGUMENT...]");
  }
  std::vector<std::string> words;
  words.reserve(argv.size());
  for (const std::string& word : argv) words.push_back(whole_path(word, words.empty()));
  if (::access(words.front().c_str(), X_OK) != 0) {
    backend_failed("backend_missing", "'" + argv.front() + "' is not an executable file",
                   "--program", "give the path of a program, or its name where PATH has it");
  }
  if (on_progress) on_progress("trying it on a tiny model");
  const ProbedEngine probed = probe_worker(program_backend(), words, {});
  remember_program(name, words);
  BackendStatus status;
  status.kind = "program";
  status.name = name;
  status.display_name = probed.info.name;
  status.state = BackendState::ready;
  status.version = probed.info.version;
  status.device = probed.info.device;
  status.worker = words.front();
  status.dir = words.front();
  status.dir_source = "setup";
  return status;
}

WorkerStamp read_stamp(const fs::path& worker_dir) {
  std::ifstream in(worker_dir / "stamp.json");
  const auto json = parse_bounded(std::string{std::istreambuf_iterator<char>(in), {}});
  WorkerStamp stamp;
  try {
    stamp.library = json.at("library").get<std::string>();
    stamp.library_bytes = json.at("library_bytes").get<int64_t>();
    stamp.library_mtime = json.at("library_mtime").get<int64_t>();
    stamp.sources_hash = json.at("sources_hash").get<std::string>();
    stamp.version = json.at("version").get<std::string>();
    stamp.api_era = json.at("api_era").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    return {};  // no stamp or not ours: stale
  }
  return stamp;
}

std::string why_stale(const WorkerStamp& stamp, const EngineLibraries& libraries) {
  std::error_code error;
  if (stamp.library.empty()) {
    return "its worker has no record of what it was built from";
  }
  if (stamp.library != libraries.llama.string() ||
      stamp.library_bytes != static_cast<int64_t>(fs::file_size(libraries.llama, error)) ||
      stamp.library_mtime != mtime_of(libraries.llama)) {
    return "the engine changed since its worker was built";
  }
  const auto root = worker_source_root();
  if (root && stamp.sources_hash != hash_of_sources(*root)) {
    return "its worker was built from an older crossval";
  }
  return "";
}

BackendStatus setup_backend(const SetupOptions& options) {
  const Backend* spec = find_backend(options.backend);
  if (spec == nullptr || spec->library() == nullptr) {
    bad_input("unknown_backend", "there is no backend '" + options.backend + "' to set up", "setup",
              "one of: " + library_names() + "; or a name for a program of yours, with --program");
  }
  if (!options.as.empty()) check_new_name(options.as, "--as");
  std::error_code error;
  const fs::path dir = fs::canonical(options.dir, error);
  if (error || !fs::is_directory(dir, error)) {
    bad_input(
        "no_such_dir", "there is no folder '" + options.dir + "'", "--dir",
        "give the folder where " + std::string(spec->display_name) + " is built or installed");
  }
  const auto libraries = find_libraries(*spec, dir);
  if (!libraries) {
    backend_failed("engine_not_found",
                   has_static_library(*spec, dir)
                       ? "only a static libllama.a is there; the worker needs a shared library"
                       : "no libllama.so is there or in its usual folders",
                   dir.string(), std::string(spec->how_to_get));
  }
  const auto headers = find_headers(*spec, dir, options.include_dir);
  if (headers.empty()) {
    backend_failed("headers_not_found", "llama.h and ggml.h are not there",
                   options.include_dir.empty() ? dir.string() : options.include_dir,
                   "give the folder of the matching headers with --include DIR");
  }
  const fs::path root = require_worker_sources("setup");
  const fs::path target = worker_dir(spec->name, dir) / kWorkerName;
  const bool current = !options.force && fs::exists(target, error) &&
                       why_stale(read_stamp(target.parent_path()), *libraries).empty();
  if (current) {
    say(options, "the worker is up to date: " + target.string());
  } else {
    build_worker(options, *spec, dir, root, *libraries, headers, target);
  }
  if (options.remember && !options.as.empty()) {
    remember_build(spec->name, options.as, dir);
    // The first that there is serves where no build is named.
    if (!remembered_dir(spec->name)) remember_dir(spec->name, dir);
  } else if (options.remember) {
    remember_dir(spec->name, dir);
  }
  BackendStatus status;
  status.build = options.as;
  const WorkerStamp stamp = read_stamp(target.parent_path());
  status.name = spec->name;
  status.display_name = spec->display_name;
  status.state = BackendState::ready;
  status.dir = dir.string();
  status.dir_source = options.remember ? "setup" : "--dir";
  status.library = libraries->llama.string();
  status.version = stamp.version;
  status.api_era = stamp.api_era;
  status.worker = target.string();
  return status;
}

}  // namespace crossval
