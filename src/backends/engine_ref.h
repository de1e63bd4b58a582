// What a name on the command line stands for, and from there to a loaded Engine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/backends.h"
#include "backends/early_setup.h"
#include "backends/worker_rights.h"
#include "engine/engine.h"
#include "gguf/model_file.h"
#include "worker/channel.h"

namespace crossval {

struct EngineRef {
  std::string name;                 // as written: "llama:old", "worker:./w", "native"
  const Backend* recipe = nullptr;  // its row of the table; not null once it was found
  std::string build;  // of a library: the name of a build or a folder; "" = the default one
  std::string dir;    // that build's folder; "" = to be looked for
  std::vector<std::string> argv;  // of a program
  std::string file;               // of a recording
  std::string url;                // of a server: "http://127.0.0.1:8080"

  bool is_builtin() const;
  bool is_recording() const;
  std::string display_name() const;  // "llama.cpp", "llama.cpp (old)", "worker:./w"
};

// `flag` is for messages. Throws bad_input for a name that stands for nothing, with what is like
// it.
EngineRef find_engine(const std::string& name, const std::string& flag);

// The same for many, "auto" and "all" among them: each engine that may come to be used. Names that
// stand for nothing are left out.
std::vector<EngineRef> find_engines(const std::vector<std::string>& names);

// Of a library, from its files.
BackendStatus status_of(const EngineRef& ref);

// Preflight: whether it is there, set up and fits. A folder that was named for this run (llama:DIR,
// LLAMA_CPP_DIR) is set up on the way, which `tell` hears of. Throws backend_failed with the
// command that mends it.
void check_engine(const EngineRef& ref, const Tell& tell = {});

// That set-up alone, in a process of its own: before the program gives up its rights, of which a
// compiler needs all. What it fails of, check_engine says.
void set_up_engines(const std::vector<EngineRef>& refs, const Tell& tell);

// Throws bad_input for a --model that is a checkpoint's folder: what is checked against is a GGUF.
void require_gguf(const std::string& model);
// Throws bad_input where this engine does not read what `model` is: a checkpoint's folder.
void check_model_kind(const EngineRef& ref, const std::string& model);

struct LoadOptions {
  std::string model;
  int n_threads = 1;
  std::map<std::string, std::string> settings;  // --backend-opt
  int timeout_ms = 600'000;                     // per worker message
  MessageHook on_message;                       // --verbose; may be empty
  Tell on_log = {};                             // the engine's log where loading fails
  Sandbox sandbox = Sandbox::automatic;
  std::vector<std::string> may_write = {};  // --sandbox-write
};

// Any engine that is not built in. Throws bad_input (a file that cannot be read) or backend_failed.
std::unique_ptr<Engine> open_engine(const EngineRef& ref, const LoadOptions& options);

// "auto": the model's metadata, then its path, then llama.
struct BackendChoice {
  std::string name;         // as find_engine takes it
  std::string selected_by;  // "metadata", "path", "default"
};
BackendChoice choose_backend(const ModelFile& model);

// Names of those that can be used now, the built-in ones left out (--backend all).
std::vector<std::string> ready_engines();

}  // namespace crossval
