// Paths of this program's own state.
#include "backends/state_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "engine/bounded_json.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

constexpr const char* kMemorySchema = "crossval/engines/1";

fs::path program_path() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool has_worker_sources(const fs::path& root) {
  std::error_code ignored;
  return fs::exists(root / "workers/llama/main.cc", ignored) &&
         fs::exists(root / "src/engine/wire.cc", ignored);
}

nlohmann::json read_memory_file() {
  std::ifstream in(state_dir() / "backends.json");
  if (!in) {
    return nlohmann::json::object();
  }
  auto json = parse_bounded(std::string{std::istreambuf_iterator<char>(in), {}});
  return json.is_object() ? json : nlohmann::json::object();
}

// Null where there is none.
const nlohmann::json* member(const nlohmann::json* object, const std::string& key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(key);
  return found == object->end() ? nullptr : &*found;
}

// Empty for what is no list of texts.
std::vector<std::string> texts_in(const nlohmann::json* list) {
  std::vector<std::string> texts;
  if (list == nullptr || !list->is_array()) return texts;
  for (const auto& one : *list) {
    if (!one.is_string()) return {};
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

// The object under a key, made where there is none; what else stood there is rubbish.
nlohmann::json& object_in(nlohmann::json& object, const std::string& key) {
  nlohmann::json& found = object[key];
  if (!found.is_object()) found = nlohmann::json::object();
  return found;
}

// One process at a time reads, changes and writes: two setups at once lose nothing. Whoever cannot
// have the lock within some seconds goes on without: it is held for a millisecond by those who
// live.
UniqueFd lock_memory() {
  constexpr int n_tries = 500, wait_ms = 10;
  std::error_code ignored;
  fs::create_directories(state_dir(), ignored);
  // The folder itself: a file for the lock would be left behind.
  UniqueFd lock(::open(state_dir().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && i < n_tries; ++i) {
    ::poll(nullptr, 0, wait_ms);
  }
  return lock;
}

template <class Change>
void change_memory(const Change& change) {
  const UniqueFd lock = lock_memory();
  auto json = read_memory_file();
  json["schema"] = kMemorySchema;
  change(json);
  write_state_file(state_dir() / "backends.json", json.dump(2) + "\n");
}

}  // namespace

fs::path state_dir() {
  const fs::path checkout = program_path().parent_path().parent_path().parent_path();
  const bool is_elsewhere = !environment("CROSSVAL_HOME").empty();
  return !is_elsewhere && has_worker_sources(checkout) ? checkout / ".cache/engines"
                                                       : user_cache_dir();
}

fs::path user_cache_dir() {
  std::error_code ignored;
  const std::string home = environment("CROSSVAL_HOME"), cache = environment("XDG_CACHE_HOME");
  if (!home.empty()) return fs::absolute(home, ignored).lexically_normal();
  if (!cache.empty()) return fs::path(cache) / "crossval";
  const std::string user = environment("HOME");
  return fs::path(user.empty() ? "/tmp" : user) / ".cache/crossval";
}

fs::path server_worker() { return program_path().parent_path() / "crossval-http-worker"; }

std::optional<fs::path> worker_source_root() {
  const fs::path bin = program_path().parent_path();
  std::vector<fs::path> places = {bin.parent_path().parent_path(),
                                  bin.parent_path() / "share/crossval"};
#ifdef CROSSVAL_SOURCE_ROOT
  places.emplace_back(CROSSVAL_SOURCE_ROOT);
#endif
  for (const fs::path& place : places) {
    if (has_worker_sources(place)) {
      return place;
    }
  }
  return std::nullopt;
}

fs::path require_worker_sources(const std::string& where) {
  const auto root = worker_source_root();
  if (!root) {
    backend_failed("sources_not_found", "the worker's sources are not beside this program", where,
                   "install crossval whole (share/crossval), or run it from its checkout");
  }
  return *root;
}

std::string program_command() {
  const fs::path program = program_path();
  if (program.filename() != "crossval") {
    return "crossval";
  }
  std::error_code ignored;
  std::istringstream path(environment("PATH"));
  for (std::string dir; std::getline(path, dir, ':');) {
    if (!dir.empty() && fs::equivalent(fs::path(dir) / "crossval", program, ignored)) {
      return "crossval";
    }
  }
  const fs::path relative = fs::relative(program, fs::current_path(ignored), ignored);
  const bool below = !relative.empty() && *relative.begin() != "..";
  return shell_quoted((below ? relative : program).string());
}

fs::path worker_dir(std::string_view backend, const fs::path& dir) {
  std::error_code error;
  const fs::path real = fs::canonical(dir, error);
  const std::string text = (error ? dir : real).string();
  return state_dir() / "workers" / (std::string(backend) + "-" + short_hash(text));
}

std::optional<fs::path> remembered_dir(std::string_view backend) {
  const auto json = read_memory_file();
  const auto* dir = member(member(member(&json, "backends"), std::string(backend)), "dir");
  if (dir == nullptr || !dir->is_string()) return std::nullopt;
  return fs::path(dir->get<std::string>());
}

void remember_dir(std::string_view backend, const fs::path& dir) {
  change_memory([&](nlohmann::json& json) {
    object_in(object_in(json, "backends"), std::string(backend))["dir"] = dir.string();
  });
}

std::map<std::string, std::string> remembered_builds(std::string_view backend) {
  std::map<std::string, std::string> builds;
  const auto json = read_memory_file();
  const auto* found = member(member(member(&json, "backends"), std::string(backend)), "builds");
  if (found == nullptr || !found->is_object()) return builds;
  for (const auto& [name, dir] : found->items()) {
    if (dir.is_string()) builds[name] = dir.get<std::string>();
  }
  return builds;
}

void remember_build(std::string_view backend, const std::string& name, const fs::path& dir) {
  change_memory([&](nlohmann::json& json) {
    object_in(object_in(object_in(json, "backends"), std::string(backend)), "builds")[name] =
        dir.string();
  });
}

std::optional<PythonEnvironment> remembered_environment(std::string_view backend) {
  const auto json = read_memory_file();
  const auto* found = member(member(&json, "backends"), std::string(backend));
  const auto* dir = member(found, "dir");
  const auto* python = member(found, "python");
  PythonEnvironment environment;
  environment.folders = texts_in(member(found, "folders"));
  if (dir == nullptr || !dir->is_string() || python == nullptr || !python->is_string() ||
      environment.folders.empty()) {
    return std::nullopt;
  }
  environment.dir = dir->get<std::string>();
  environment.python = python->get<std::string>();
  return environment;
}

void remember_environment(std::string_view backend, const PythonEnvironment& environment) {
  change_memory([&](nlohmann::json& json) {
    object_in(json, "backends")[std::string(backend)] = {
        {"dir", environment.dir}, {"python", environment.python}, {"folders", environment.folders}};
  });
}

std::map<std::string, std::vector<std::string>> remembered_programs() {
  std::map<std::string, std::vector<std::string>> programs;
  const auto json = read_memory_file();
  const auto* found = member(&json, "programs");
  if (found == nullptr || !found->is_object()) return programs;
  for (const auto& [name, entry] : found->items()) {
    std::vector<std::string> words = texts_in(member(&entry, "argv"));
    if (!words.empty()) programs[name] = std::move(words);
  }
  return programs;
}

void remember_program(const std::string& name, const std::vector<std::string>& argv) {
  change_memory([&](nlohmann::json& json) {
    object_in(json, "programs")[name] = {{"argv", argv}};
  });
}

void write_state_file(const fs::path& path, const std::string& text) {
  std::error_code ignored;  // a folder that cannot be made shows when the file is opened
  fs::create_directories(path.parent_path(), ignored);
  try {
    write_file_atomically(path.string(), text);
  } catch (const Error& error) {
    bad_input(error.code, error.what_, error.where,
              "free space or permissions there, or set CROSSVAL_HOME to another folder");
  }
}

std::string shell_quoted(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789_-./+=:@%,") == std::string::npos;
  if (plain) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

std::string short_hash(std::string_view bytes, std::string_view seed) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const std::string_view part : {seed, bytes}) {
    for (const char c : part) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    }
  }
  constexpr char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4) {
    text[static_cast<size_t>(i)] = digits[hash & 15];
  }
  return text;
}

}  // namespace crossval
