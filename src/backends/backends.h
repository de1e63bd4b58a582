// The table of engines: what each is called, how it is started, where its files lie, and how a user
// gets it. The one place to add a row; nothing elsewhere asks for an engine by its name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace crossval {

// A library with a llama.h: a worker of ours is compiled against it.
struct LlamaLibrary {
  std::string_view env_var;  // names the engine's folder, before anything remembered
  // Folders below the engine's own that may hold the library or the headers, in this order.
  std::vector<std::string_view> library_dirs;
  std::vector<std::string_view> include_dirs;
  bool in_system_path = false;  // a system's libllama is this engine's
};
// A program that speaks the protocol itself (docs/protocol.md).
struct Program {};
// A worker of ours in Python, in an environment that `setup` makes or takes.
struct PythonProgram {
  std::string_view source;                 // its folder below workers/
  std::vector<std::string_view> packages;  // folders that the environment must hold, to be quick
};
// A server somewhere, spoken to by a worker of ours that is built with the program.
struct Server {};
// In this process.
struct Builtin {};
// A saved run.
struct Recording {};

// What a model can be that lies on this machine.
enum class ModelKind { gguf, checkpoint /* a folder with a config.json */ };

struct Backend {
  std::string_view name;          // on the command line: "llama"
  std::string_view display_name;  // in results: "llama.cpp"; "" = it says itself
  std::string_view argument;      // what follows the name and a colon: "PATH"; "" = nothing must
  std::string_view how_to_get;    // one line for somebody who has nothing yet
  std::variant<LlamaLibrary, Program, PythonProgram, Server, Builtin, Recording> start;
  bool reads_checkpoints = false;  // ModelKind::checkpoint beside gguf

  // Null for those that are no library.
  const LlamaLibrary* library() const { return std::get_if<LlamaLibrary>(&start); }
  // Null for those that are no Python of ours.
  const PythonProgram* python() const { return std::get_if<PythonProgram>(&start); }
  bool is_server() const { return std::holds_alternative<Server>(start); }
  // By `setup`, and remembered: where a program is the user's own.
  bool is_set_up_by_us() const { return library() != nullptr || python() != nullptr; }
  bool reads(ModelKind kind) const { return kind == ModelKind::gguf || reads_checkpoints; }
};

std::span<const Backend> all_backends();

// nullptr when there is no such row. By name or display name.
const Backend* find_backend(std::string_view name);
// The row of programs that `setup --program` gave a name.
const Backend& program_backend();

ModelKind kind_of_model(const std::string& path);
// Those that read checkpoints: "hf, worker:PATH".
std::string checkpoint_reader_names();

// Those that `setup BACKEND --dir` takes: "llama, bitnet, ik".
std::string library_names();
// Those that `setup BACKEND` makes an environment for: "hf".
std::string python_names();
// All, as the command line takes them: "llama, bitnet, ik, hf, native, worker:PATH, trace:FILE".
std::string backend_names();

}  // namespace crossval
