// Finds an engine's files: the folder to look in, the library with what it needs, the headers.
// Every row given here is a library's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "backends/backends.h"

namespace crossval {

// Where a backend's folder was learned from, in the order they are asked.
struct EngineDir {
  std::filesystem::path dir;
  std::string source;  // "LLAMA_CPP_DIR", "setup", "system"
};

struct EngineSearch {
  std::optional<EngineDir> found;
  std::vector<std::string> searched;  // folders and variables, for messages
};

// The environment variable wins even when its folder holds nothing: its user meant it.
EngineSearch find_engine_dir(const Backend& spec);

struct EngineLibraries {
  std::filesystem::path llama;                // the libllama to link
  std::vector<std::filesystem::path> needed;  // its own libraries, to link with it
  std::vector<std::filesystem::path> dirs;    // all their folders, for the run path
};
// nullopt when no shared libllama is there.
std::optional<EngineLibraries> find_libraries(const Backend& spec,
                                              const std::filesystem::path& dir);

// Folders to give the compiler: those with llama.h, ggml.h and what they include; empty when
// llama.h is not found. `extra` (may be empty) is searched first.
std::vector<std::filesystem::path> find_headers(const Backend& spec,
                                                const std::filesystem::path& dir,
                                                const std::filesystem::path& extra);

// A static libllama.a instead of a shared one: worth a better message.
bool has_static_library(const Backend& spec, const std::filesystem::path& dir);

// The version as files of the folder tell it (VERSION, CMake package, build-info.cpp); "" if none.
std::string version_from_files(const std::filesystem::path& dir);

// Names of the libraries an ELF file asks for (DT_NEEDED); empty for anything else.
std::vector<std::string> elf_needed(const std::filesystem::path& library);

}  // namespace crossval
