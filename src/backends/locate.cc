// Looking for engines in the folders of the table.
#include "backends/locate.h"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "backends/state_dir.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return error ? path : real;
}

// libllama.so first, then versioned and hashed names (libllama.so.0, libllama.v0.5.0.so,
// libllama.b6301.so, libllama-1a2b3c4d.so), never relatives such as libllama-common.so. 0 = not it,
// smaller = better.
int library_rank(const std::string& name) {
  static const re2::RE2 versioned(R"(libllama\.so(\.\d+)+)");
  static const re2::RE2 tagged(R"(libllama\.[vb][0-9][0-9A-Za-z._-]*\.so)");
  static const re2::RE2 hashed(R"(libllama-[0-9a-f]{8,}\.so(\.\d+)*)");
  if (name == "libllama.so") {
    return 1;
  }
  return re2::RE2::FullMatch(name, versioned) ? 2
         : re2::RE2::FullMatch(name, tagged)  ? 3
         : re2::RE2::FullMatch(name, hashed)  ? 4
                                              : 0;
}

std::optional<fs::path> libllama_in(const fs::path& dir) {
  std::error_code error;
  std::optional<std::pair<int, std::string>> best;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    const std::string name = entry.path().filename();
    const int rank = library_rank(name);
    if (rank > 0 && is_file(entry.path()) && (!best || std::pair(rank, name) < *best)) {
      best = {rank, name};
    }
  }
  return best ? std::optional(dir / best->second) : std::nullopt;
}

// Folders of bundled libraries that wheels put beside their package: *.libs.
std::vector<fs::path> bundled_dirs(const fs::path& dir) {
  std::vector<fs::path> found;
  for (const fs::path& place : {dir, dir.parent_path()}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (entry.path().extension() == ".libs" && entry.is_directory(error)) {
        found.push_back(entry.path());
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> system_prefixes() { return {"/usr/local", "/usr"}; }

std::vector<fs::path> library_places(const Backend& spec, const fs::path& dir) {
  std::vector<fs::path> places;
  for (const std::string_view sub : spec.library()->library_dirs) {
    places.push_back(sub == "." ? dir : dir / sub);
  }
#ifdef __x86_64__
  places.push_back(dir / "lib/x86_64-linux-gnu");
#elif defined(__aarch64__)
  places.push_back(dir / "lib/aarch64-linux-gnu");
#endif
  return places;
}

std::string read_text(const fs::path& path, size_t max_bytes) {
  std::ifstream in(path, std::ios::binary);
  std::string text(max_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(max_bytes));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

// The first line as it can stand in a string literal of C: anybody may have written the file.
std::string plain_line(const std::string& text) {
  std::string line = text.substr(0, text.find_first_of("\r\n"));
  std::erase_if(line, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; });
  const size_t first = line.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : line.substr(first, line.find_last_not_of(' ') + 1 - first);
}

std::string first_match(const std::string& text, const char* expression) {
  std::string match;
  return re2::RE2::PartialMatch(text, expression, &match) ? match : "";
}

}  // namespace

EngineSearch find_engine_dir(const Backend& spec) {
  EngineSearch search;
  const std::string variable(spec.library()->env_var);
  const char* value = std::getenv(variable.c_str());
  if (value != nullptr && *value != '\0') {
    search.searched.push_back(variable + "=" + value);
    search.found = EngineDir{real_path(value), variable};
    return search;
  }
  search.searched.push_back("$" + variable + " (not set)");
  search.searched.push_back((state_dir() / "backends.json").string());
  if (const auto dir = remembered_dir(spec.name)) {
    search.found = EngineDir{*dir, "setup"};
    return search;
  }
  if (!spec.library()->in_system_path) {
    return search;
  }
  std::vector<fs::path> prefixes;
  std::istringstream loader_path(std::getenv("LD_LIBRARY_PATH") ? std::getenv("LD_LIBRARY_PATH")
                                                                : "");
  for (std::string dir; std::getline(loader_path, dir, ':');) {
    if (!dir.empty()) {
      prefixes.emplace_back(dir);
    }
  }
  for (const fs::path& prefix : system_prefixes()) {
    prefixes.push_back(prefix);
  }
  for (const fs::path& prefix : prefixes) {
    search.searched.push_back(prefix.string());
    if (find_libraries(spec, prefix)) {
      search.found = EngineDir{real_path(prefix), "system"};
      return search;
    }
  }
  return search;
}

std::optional<EngineLibraries> find_libraries(const Backend& spec, const fs::path& dir) {
  std::vector<fs::path> places = library_places(spec, dir);
  EngineLibraries found;
  for (const fs::path& place : places) {
    if (const auto library = libllama_in(place)) {
      found.llama = *library;
      break;
    }
  }
  if (found.llama.empty()) {
    return std::nullopt;
  }
  // The library's own folder first: a build tree may hold several copies of libggml.
  places.insert(places.begin(), found.llama.parent_path());
  for (const fs::path& bundled : bundled_dirs(dir)) {
    places.push_back(bundled);
  }
  for (const fs::path& bundled : bundled_dirs(found.llama.parent_path())) {
    places.push_back(bundled);
  }
  found.dirs.push_back(found.llama.parent_path());
  std::vector<std::string> wanted = elf_needed(found.llama);
  std::set<std::string> seen;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!seen.insert(wanted[i]).second) {
      continue;
    }
    for (const fs::path& place : places) {
      const fs::path library = place / wanted[i];
      if (!is_file(library)) {
        continue;  // not the engine's: the system has it
      }
      found.needed.push_back(library);
      if (std::find(found.dirs.begin(), found.dirs.end(), place) == found.dirs.end()) {
        found.dirs.push_back(place);
      }
      for (const std::string& name : elf_needed(library)) {
        wanted.push_back(name);
      }
      break;
    }
  }
  return found;
}

std::vector<fs::path> find_headers(const Backend& spec, const fs::path& dir,
                                   const fs::path& extra) {
  std::vector<fs::path> roots;
  if (!extra.empty()) {
    roots.push_back(extra);
  }
  roots.push_back(dir);
  roots.push_back(dir.parent_path());  // `dir` may be build/, or build/bin
  roots.push_back(dir.parent_path().parent_path());
  for (const fs::path& root : roots) {
    std::vector<fs::path> places;
    bool has_llama = false, has_ggml = false;
    for (const std::string_view sub : spec.library()->include_dirs) {
      const fs::path place = sub == "." ? root : root / sub;
      const bool llama = is_file(place / "llama.h"), ggml = is_file(place / "ggml.h");
      // ggml-bitnet.h lies apart in bitnet.cpp and is included by its ggml.
      if ((llama && !has_llama) || (ggml && !has_ggml) || is_file(place / "ggml-bitnet.h")) {
        places.push_back(place);
      }
      has_llama = has_llama || llama;
      has_ggml = has_ggml || ggml;
    }
    if (has_llama && has_ggml) {
      return places;
    }
  }
  return {};
}

bool has_static_library(const Backend& spec, const fs::path& dir) {
  const auto places = library_places(spec, dir);
  return std::any_of(places.begin(), places.end(),
                     [](const fs::path& place) { return is_file(place / "libllama.a"); });
}

std::string version_from_files(const fs::path& dir) {
  std::string version = plain_line(read_text(dir / "VERSION", 100));
  if (!version.empty()) {
    return version;
  }
  // Written by llama.cpp's build: common/build-info.cpp (2024), cmake/llama-config.cmake.in.
  for (const char* name :
       {"common/build-info.cpp", "build/common/build-info.cpp",
        "3rdparty/llama.cpp/common/build-info.cpp", "lib/cmake/llama/llama-config.cmake",
        "lib64/cmake/llama/llama-config.cmake"}) {
    const std::string text = read_text(dir / name, 100'000);
    std::string number = first_match(text, R"(LLAMA_BUILD_NUMBER\s*=?\s*(\d+))");
    const std::string commit =
        first_match(text, R"re(LLAMA_(?:BUILD_)?COMMIT\s*=?\s*"?([0-9a-f]{7,}))re");
    if (!number.empty()) {
      return "b" + number + (commit.empty() ? "" : " (" + commit + ")");
    }
  }
  return "";
}

}  // namespace crossval
