// Paths of this program's own state.
#include "backends/state_dir.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

constexpr const char* memory_schema = "crossval/engines/1";

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
  auto json = nlohmann::json::parse(in, nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

}  // namespace

fs::path state_dir() {
  const std::string home = environment("CROSSVAL_HOME");
  std::error_code ignored;
  if (!home.empty()) {
    const fs::path path = fs::absolute(home, ignored);
    return path.lexically_normal();
  }
  const fs::path checkout = program_path().parent_path().parent_path().parent_path();
  if (has_worker_sources(checkout)) {
    return checkout / ".cache/engines";
  }
  const std::string cache = environment("XDG_CACHE_HOME");
  if (!cache.empty()) {
    return fs::path(cache) / "crossval";
  }
  const std::string user = environment("HOME");
  return fs::path(user.empty() ? "/tmp" : user) / ".cache/crossval";
}

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
  const auto backends = json.find("backends");
  if (backends == json.end() || !backends->is_object()) {
    return std::nullopt;
  }
  const auto entry = backends->find(std::string(backend));
  if (entry == backends->end() || !entry->is_object() || !entry->contains("dir") ||
      !(*entry)["dir"].is_string()) {
    return std::nullopt;
  }
  return fs::path((*entry)["dir"].get<std::string>());
}

void remember_dir(std::string_view backend, const fs::path& dir) {
  auto json = read_memory_file();
  json["schema"] = memory_schema;
  if (!json.contains("backends") || !json["backends"].is_object()) {
    json["backends"] = nlohmann::json::object();
  }
  json["backends"][std::string(backend)] = {{"dir", dir.string()}};
  write_state_file(state_dir() / "backends.json", json.dump(2) + "\n");
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
