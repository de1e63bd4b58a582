#include "backends/own_rights.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "backends/locate.h"
#include "backends/state_dir.h"
#include "backends/worker_rights.h"
#include "engine/trace_set.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

fs::path real_path(const fs::path& path) {
  std::error_code failed;
  const fs::path whole = fs::absolute(path, failed);
  const fs::path real = fs::weakly_canonical(failed ? path : whole, failed);
  return failed ? path : real;
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  for (std::string& path : more) to.push_back(std::move(path));
}

// A file itself, not its folder, which may be a home.
void add_saved_run(const std::string& path, std::vector<std::string>& look) {
  look.push_back(path);
  std::error_code ignored;
  for (int n = 1; !fs::exists(path, ignored) && fs::exists(saved_path(path, n), ignored); ++n) {
    look.push_back(saved_path(path, n));
  }
}

// A worker's rights are made when it starts, which is under cover: then its parts are looked for
// again.
void add_input(const std::string& path, Rights& rights) {
  if (path.empty()) return;
  if (kind_of_model(path) == ModelKind::checkpoint) {  // for the worker, whose rights are ours
    append(rights.read, places_of_checkpoint(path));
    return;
  }
  std::vector<std::string>& look = rights.look;
  std::vector<std::string> parts = parts_of_model(path);
  std::error_code failed;
  if (parts.size() > 1) look.push_back(fs::absolute(path, failed).parent_path().string());
  append(look, std::move(parts));
}

// Written in its folder under another name and moved (base/atomic_file.h); a device or a pipe is
// written as it is. A folder that is yet to be made is made in the nearest that is there.
void add_output(const std::string& path, Rights& rights) {
  std::error_code ignored;
  const fs::path real = real_path(path);
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
    rights.output.push_back(path);
    return;
  }
  rights.look.push_back(path);  // whether it may be replaced
  const bool is_folder = path.ends_with('/');
  fs::path folder = is_folder ? real / "" : real;
  do {
    folder = folder.parent_path();
  } while (is_folder && folder.has_relative_path() && !fs::exists(folder, ignored));
  rights.output.push_back(folder.string());
}

// Where setup's checks look, beside what the worker may read itself: libraries of wheels lie in
// folders beside their package.
void add_library(const EngineRef& ref, Rights& rights) {
  std::string dir = ref.dir;
  if (dir.empty()) {
    const EngineSearch search = find_engine_dir(*ref.recipe);
    if (!search.found) return;
    dir = search.found->dir.string();
  }
  const auto libraries = find_libraries(*ref.recipe, dir);
  const std::string library = libraries ? libraries->llama.string() : dir;
  rights.look.push_back(fs::path(dir).parent_path().string());
  rights.look.push_back(fs::path(library).parent_path().parent_path().string());
  if (libraries) {
    for (const fs::path& folder : libraries->dirs) rights.read.push_back(folder.string());
  }
  const std::string worker = (worker_dir(ref.recipe->name, dir) / "crossval-worker").string();
  append(rights.read, worker_reads({.argv = {worker},
                                    .engine_dirs = engine_folders(dir, library),
                                    .model = "",
                                    .write = {}}));
}

void add_engine(const EngineRef& ref, Rights& rights) {
  if (ref.recipe->is_server()) {  // its worker's rights are ours at most
    allow_server(ref.url, rights);
    append(rights.read, worker_reads({.argv = {server_worker().string()},
                                      .engine_dirs = {server_worker().parent_path().string()},
                                      .model = "",
                                      .write = {},
                                      .url = ref.url}));
  }
  if (ref.is_recording()) add_saved_run(ref.file, rights.look);
  if (ref.recipe->library() != nullptr) add_library(ref, rights);
  if (ref.recipe->python() != nullptr) {
    const BackendStatus status = status_of(ref);
    if (status.argv.empty()) return;
    append(rights.read,
           worker_reads(
               {.argv = status.argv, .engine_dirs = status.folders, .model = "", .write = {}}));
  }
  if (!ref.argv.empty() && !ref.argv.front().empty()) {
    rights.look.emplace_back("/");  // the names, from which its rights are made
    append(rights.read,
           worker_reads({.argv = ref.argv, .engine_dirs = {}, .model = "", .write = {}}));
  }
}

void add_loader_path(std::vector<std::string>& read) {
  const char* value = std::getenv("LD_LIBRARY_PATH");
  std::istringstream folders(value != nullptr ? value : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) read.push_back(folder);
  }
}

}  // namespace

Rights own_rights(const OwnPlaces& places) {
  Rights rights;
  rights.read = system_folders();
  add_loader_path(rights.read);
  rights.look = {"/proc/self/exe", "/dev/random", "/dev/urandom"};
  // Ours: what was set up, and the sources that workers are compared with.
  rights.read.push_back(state_dir().string());
  if (const auto root = worker_source_root()) {
    rights.read.push_back((*root / "workers").string());
    rights.read.push_back((*root / "src").string());
  }
  for (const std::string& input : places.inputs) add_input(input, rights);
  for (const std::string& output : places.outputs) {
    if (!output.empty()) add_output(output, rights);
  }
  for (const EngineRef& ref : places.engines) add_engine(ref, rights);
  // Copies of models, logits: tmpfile() asks for the second alone.
  std::error_code failed;
  for (const std::string& folder :
       {fs::temp_directory_path(failed).string(), std::string(P_tmpdir)}) {
    rights.read.push_back(folder);
    rights.output.push_back(folder);
  }
  rights.write = sinks();
  append(rights.write, places.may_write);
  return rights;
}

}  // namespace crossval
