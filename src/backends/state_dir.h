// Where setup keeps what it built and remembers, and where the worker sources are.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossval {

// $CROSSVAL_HOME; else <checkout>/.cache/engines when the program lies in a checkout's build
// folder; else $XDG_CACHE_HOME/crossval or ~/.cache/crossval. Not created here.
std::filesystem::path state_dir();

// What is too large for a checkout and serves all of them: $CROSSVAL_HOME, else
// $XDG_CACHE_HOME/crossval or ~/.cache/crossval. Not created here.
std::filesystem::path user_cache_dir();

// The folder that has workers/llama and src/engine: a checkout or <prefix>/share/crossval.
std::optional<std::filesystem::path> worker_source_root();
// The same; throws backend_failed where they are not there.
std::filesystem::path require_worker_sources(const std::string& where);

// The worker that speaks to servers: beside the program.
std::filesystem::path server_worker();

// How a user calls this program in this place: "crossval", or a path where it is not on PATH.
std::string program_command();

// <state>/workers/<backend>-<hash of the real path of dir>
std::filesystem::path worker_dir(std::string_view backend, const std::filesystem::path& dir);

// The folder setup remembered for a backend; nullopt when there is none.
std::optional<std::filesystem::path> remembered_dir(std::string_view backend);
void remember_dir(std::string_view backend, const std::filesystem::path& dir);

// Builds that were set up under a name of their own: name -> folder.
std::map<std::string, std::string> remembered_builds(std::string_view backend);
void remember_build(std::string_view backend, const std::string& name,
                    const std::filesystem::path& dir);

// An environment that a worker in Python runs in.
struct PythonEnvironment {
  std::string dir;                   // its folder
  std::string python;                // its interpreter
  std::vector<std::string> folders;  // where that and its packages lie: what a worker reads
};
std::optional<PythonEnvironment> remembered_environment(std::string_view backend);
void remember_environment(std::string_view backend, const PythonEnvironment& environment);

// Programs that were given a name: name -> the words that start them.
std::map<std::string, std::vector<std::string>> remembered_programs();
void remember_program(const std::string& name, const std::vector<std::string>& argv);

// Writes the whole file or leaves the old one. Throws bad_input when the place cannot be written.
void write_state_file(const std::filesystem::path& path, const std::string& text);

// A word safe to paste into a shell.
std::string shell_quoted(const std::string& text);

// 16 hex digits (FNV-1a, 64 bits): names and change detection, nothing secret.
std::string short_hash(std::string_view bytes, std::string_view seed = {});

}  // namespace crossval
