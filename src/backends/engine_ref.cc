#include "backends/engine_ref.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "backends/build_worker.h"
#include "backends/early_setup.h"
#include "backends/preflight.h"
#include "backends/state_dir.h"
#include "base/closest.h"
#include "base/error.h"
#include "base/server_url.h"
#include "engine/trace_set.h"
#include "worker/worker_engine.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

// Those that "auto" chooses from.
constexpr const char* kBitnet = "bitnet";
constexpr const char* kLlama = "llama";

[[noreturn]] void unknown(const std::string& name, const std::string& flag) {
  std::vector<std::string> known;
  for (const Backend& row : all_backends()) known.emplace_back(row.name);
  std::string names = backend_names();
  for (const auto& [program, argv] : remembered_programs()) {
    known.push_back(program);
    names += ", " + program;
  }
  const std::string like = closest_word(name, known);
  bad_input("unknown_backend", fmt::format("there is no engine '{}'", name), flag,
            (like.empty() ? "" : fmt::format("did you mean '{}'? ", like)) + "one of: " + names);
}

// "old" or a folder behind "llama:".
void find_build(const std::string& flag, EngineRef& ref) {
  const std::string name(ref.recipe->name);
  const auto builds = remembered_builds(name);
  if (const auto found = builds.find(ref.build); found != builds.end()) {
    ref.dir = found->second;
    return;
  }
  std::error_code ignored;
  if (fs::is_directory(ref.build, ignored)) {
    ref.dir = fs::canonical(ref.build, ignored).string();
    return;
  }
  std::string known;
  std::vector<std::string> names;
  for (const auto& [build, dir] : builds) {
    known += (known.empty() ? "" : ", ") + build;
    names.push_back(build);
  }
  const std::string like = closest_word(ref.build, names);
  bad_input("unknown_build",
            fmt::format("'{}' is neither a build of {} that was set up nor a folder", ref.build,
                        ref.recipe->display_name),
            flag + " " + ref.name,
            (like.empty() ? "" : fmt::format("did you mean '{}:{}'? ", name, like)) +
                (known.empty() ? "" : "builds: " + known + "; ") +
                fmt::format("{} setup {} --dir DIR --as {}", program_command(), name,
                            shell_quoted(ref.build)));
}

// The first word is a program: a path, or found on PATH when it was registered.
void check_program(const EngineRef& ref) {
  std::error_code ignored;
  const std::string& program = ref.argv.front();
  if (program.empty() || !fs::is_regular_file(program, ignored) ||
      ::access(program.c_str(), X_OK) != 0) {
    backend_failed("backend_missing", "'" + program + "' is not an executable file",
                   "engine " + ref.name, "give the path of a worker (docs/protocol.md)");
  }
}

[[noreturn]] void not_ready(const BackendStatus& status) {
  const bool broken = status.state == BackendState::broken;
  backend_failed(
      broken ? "backend_broken" : "backend_not_set_up",
      status.display_name + " is " + backend_state_name(status.state) + ": " + status.reason,
      "backend " + status.name,
      "run: " + status.fix + (status.hint.empty() ? "" : "   (" + status.hint + ")"));
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// By its folder, or by the variable: what the user means to use now.
bool is_named_for_this_run(const EngineRef& ref) {
  if (!ref.dir.empty()) return true;
  const char* value = std::getenv(std::string(ref.recipe->library()->env_var).c_str());
  return value != nullptr && *value != '\0';
}

bool is_set_up_on_the_way(const EngineRef& ref, const BackendStatus& status) {
  return is_named_for_this_run(ref) && status.state == BackendState::not_set_up &&
         !status.library.empty();
}

}  // namespace

bool EngineRef::is_builtin() const { return std::holds_alternative<Builtin>(recipe->start); }

bool EngineRef::is_recording() const { return std::holds_alternative<Recording>(recipe->start); }

std::string EngineRef::display_name() const {
  if (recipe->display_name.empty()) return name;
  return std::string(recipe->display_name) + (build.empty() ? "" : " (" + build + ")");
}

EngineRef find_engine(const std::string& name, const std::string& flag) {
  EngineRef ref;
  ref.name = name;
  const size_t colon = name.find(':');
  const std::string argument = colon == name.npos ? "" : name.substr(colon + 1);
  ref.recipe = find_backend(name.substr(0, colon));
  if (ref.recipe == nullptr) {
    const auto programs = remembered_programs();
    const auto found = programs.find(name);
    if (found == programs.end()) unknown(name, flag);
    ref.recipe = &program_backend();
    ref.argv = found->second;
    return ref;
  }
  const bool takes_argument = ref.recipe->library() != nullptr || !ref.recipe->argument.empty();
  if (colon != name.npos && !takes_argument) unknown(name, flag);
  if (!ref.recipe->argument.empty() && argument.empty()) {
    bad_input("bad_engine", fmt::format("'{}' lacks its {}", name, ref.recipe->argument), flag,
              fmt::format("write {}:{}", ref.recipe->name, ref.recipe->argument));
  }
  if (ref.recipe->library() != nullptr) {
    ref.build = argument;
    if (!argument.empty()) find_build(flag, ref);
  } else if (std::holds_alternative<Program>(ref.recipe->start)) {
    ref.argv = {argument};
  } else if (ref.is_recording()) {
    ref.file = argument;
  } else if (ref.recipe->is_server()) {
    parse_server_url(name, flag);
    ref.url = name;
  }
  return ref;
}

BackendStatus status_of(const EngineRef& ref) {
  if (ref.dir.empty()) return preflight(*ref.recipe, false);
  return preflight_dir(*ref.recipe, {ref.dir, "--backend"}, false);
}

std::vector<EngineRef> find_engines(const std::vector<std::string>& names) {
  std::vector<EngineRef> refs;
  const auto add = [&](const std::string& name) {
    try {
      refs.push_back(find_engine(name, ""));
    } catch (const Error&) {  // told by whoever needs it
    }
  };
  for (const std::string& name : names) {
    if (name == "auto") {
      add(kBitnet);
      add(kLlama);
    } else if (name == "all") {
      for (const Backend& row : all_backends()) {
        if (!row.is_set_up_by_us()) continue;
        const std::string engine(row.name);
        add(engine);
        if (row.library() == nullptr) continue;  // has no builds
        for (const auto& [build, dir] : remembered_builds(engine))
          add(fmt::format("{}:{}", engine, build));
      }
      for (const auto& [program, argv] : remembered_programs()) add(program);
    } else {
      add(name);
    }
  }
  return refs;
}

void set_up_engines(const std::vector<EngineRef>& refs, const Tell& tell) {
  for (const EngineRef& ref : refs) {
    if (ref.recipe->library() == nullptr || !is_named_for_this_run(ref)) continue;
    const BackendStatus status = status_of(ref);
    if (is_set_up_on_the_way(ref, status)) set_up_early(status, tell);
  }
}

void check_engine(const EngineRef& ref, const Tell& tell) {
  if (ref.is_builtin() || ref.is_recording()) return;
  if (ref.recipe->is_server()) {
    check_program({.name = "server", .argv = {server_worker().string()}});
    return;
  }
  if (!ref.recipe->is_set_up_by_us()) {
    check_program(ref);
    return;
  }
  const BackendStatus status = status_of(ref);
  if (status.state == BackendState::ready) return;
  if (ref.recipe->library() == nullptr || !is_set_up_on_the_way(ref, status)) not_ready(status);
  throw_early_failure(status);
  setup_backend(early_setup(status, tell));
}

void require_gguf(const std::string& model) {
  if (kind_of_model(model) == ModelKind::gguf) return;
  bad_input(
      "wrong_model_kind", "--model is a GGUF file, and this is a checkpoint's folder", model,
      "convert it with llama.cpp's convert_hf_to_gguf.py and name that file; the folder is for "
      "--backend-model, with --backend " +
          python_names());
}

void check_model_kind(const EngineRef& ref, const std::string& model) {
  if (ref.recipe->reads(kind_of_model(model))) return;
  bad_input("wrong_model_kind",
            ref.display_name() + " reads GGUF files, and this is a checkpoint's folder", model,
            "name an engine that reads it: " + checkpoint_reader_names());
}

namespace {

std::unique_ptr<Engine> start_worker(const EngineRef& ref, const LoadOptions& options,
                                     const std::vector<std::string>& argv,
                                     std::optional<WorkerCover> cover) {
  const std::string model = model_path_for(options.model, cover);
  auto engine = std::make_unique<WorkerEngine>(WorkerLaunch{.argv = argv,
                                                            .name = ref.display_name(),
                                                            .timeout_ms = options.timeout_ms,
                                                            .on_message = options.on_message,
                                                            .cover = cover});
  engine->set_sandbox(cover_words(cover));
  try {
    engine->load(model, options.n_threads, options.settings);
  } catch (...) {
    if (options.on_log) {
      for (const std::string& line : engine->log_tail()) options.on_log(line);
    }
    throw;
  }
  return engine;
}

// Its worker reads no model, and no file but the system's.
std::unique_ptr<Engine> open_server(const EngineRef& ref, LoadOptions options) {
  const std::string worker = server_worker().string();
  const auto cover =
      cover_worker(options.sandbox, {.argv = {worker},
                                     .engine_dirs = {server_worker().parent_path().string()},
                                     .model = "",
                                     .write = {},
                                     .url = ref.url});
  options.model = ref.url;
  return start_worker(ref, options, {worker, ref.url}, cover);
}

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineRef& ref, const LoadOptions& options) {
  if (ref.is_recording()) return open_recording(ref.file);
  if (ref.recipe->is_server()) return open_server(ref, options);
  std::vector<std::string> argv = ref.argv;
  std::vector<std::string> engine_dirs;
  if (ref.recipe->is_set_up_by_us()) {
    const BackendStatus status = status_of(ref);
    if (status.state != BackendState::ready) not_ready(status);
    argv = status.argv;
    engine_dirs = status.folders;
  } else {
    check_program(ref);
    argv.front() = fs::absolute(argv.front()).string();
  }
  check_model_kind(ref, options.model);
  if (::access(options.model.c_str(), R_OK) != 0) {
    bad_input("unreadable_model", "the model cannot be read", options.model,
              "check the path and its permissions");
  }
  auto cover = cover_worker(options.sandbox, {.argv = argv,
                                              .engine_dirs = engine_dirs,
                                              .model = options.model,
                                              .write = options.may_write});
  return start_worker(ref, options, argv, std::move(cover));
}

BackendChoice choose_backend(const ModelFile& model) {
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.type == GgmlType::I2_S) return {kBitnet, "metadata"};
  }
  const std::string path = lower(model.path());
  if (path.find("bitnet") != std::string::npos) return {kBitnet, "path"};
  if (path.find("llama") != std::string::npos) return {kLlama, "path"};
  return {kLlama, "default"};
}

std::vector<std::string> ready_engines() {
  std::vector<std::string> names;
  for (const BackendStatus& status : preflight_all(false)) {
    if (status.state == BackendState::ready && status.kind != "builtin" &&
        status.kind != "server") {
      names.push_back(status.name);
    }
  }
  return names;
}

}  // namespace crossval
