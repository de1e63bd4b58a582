// Rows of the backend table. Layouts: llama.cpp's CMakeLists.txt (build/bin, build/src,
// build/ggml/src, install prefix), bitnet.cpp's (the same below 3rdparty/llama.cpp), the
// ik_llama.cpp wheel (lib64 and a .libs folder beside it).
#include "backends/backends.h"

#include <algorithm>
#include <filesystem>

namespace crossval {

std::span<const Backend> all_backends() {
  static const std::vector<Backend> table = {
      {.name = "llama",
       .display_name = "llama.cpp",
       .argument = "",
       .how_to_get = "build llama.cpp with -DBUILD_SHARED_LIBS=ON, or run scripts/fetch_engines.sh",
       .start =
           LlamaLibrary{.env_var = "LLAMA_CPP_DIR",
                        .library_dirs = {".", "build", "build/bin", "build/lib", "lib", "lib64",
                                         "bin", "build/src", "build/ggml/src", "src", "ggml/src"},
                        .include_dirs = {"include", ".", "ggml/include"},
                        .in_system_path = true}},
      {.name = "bitnet",
       .display_name = "bitnet.cpp",
       .argument = "",
       .how_to_get = "build microsoft/BitNet with -DBUILD_SHARED_LIBS=ON",
       .start =
           LlamaLibrary{
               .env_var = "BITNET_CPP_DIR",
               .library_dirs = {"build/3rdparty/llama.cpp/src", "build/3rdparty/llama.cpp/ggml/src",
                                "3rdparty/llama.cpp/build/src", "3rdparty/llama.cpp/build/ggml/src",
                                "3rdparty/llama.cpp/build/bin", "build/lib", ".", "build",
                                "build/bin", "lib", "lib64", "bin"},
               .include_dirs = {"3rdparty/llama.cpp/include", "3rdparty/llama.cpp/ggml/include",
                                "include", "."}}},
      {.name = "ik",
       .display_name = "ik_llama.cpp",
       .argument = "",
       .how_to_get = "build ik_llama.cpp with -DBUILD_SHARED_LIBS=ON, or unpack its Python wheel",
       .start =
           LlamaLibrary{.env_var = "IK_LLAMA_CPP_DIR",
                        .library_dirs = {".", "build", "build/bin", "build/lib", "lib", "lib64",
                                         "bin", "build/src", "build/ggml/src", "src", "ggml/src",
                                         "ik_llama_cpp/lib64", "ik_llama_cpp/lib"},
                        .include_dirs = {"include", ".", "ggml/include", "ik_llama_cpp/include"}}},
      {.name = "hf",
       .display_name = "transformers",
       .argument = "",
       .how_to_get = "it makes a Python environment with torch and transformers, or takes yours: "
                     "--python PY",
       .start = PythonProgram{.source = "hf", .packages = {"torch", "transformers"}},
       .reads_checkpoints = true},
      {.name = "http",
       .display_name = "",
       .argument = "//HOST:PORT",
       .how_to_get = "start llama-server, vLLM, SGLang, Ollama or TGI",
       .start = Server{}},
      {.name = "https",
       .display_name = "",
       .argument = "//HOST:PORT",
       .how_to_get = "start llama-server, vLLM, SGLang, Ollama or TGI behind TLS",
       .start = Server{}},
      {.name = "native",
       .display_name = "native",
       .argument = "",
       .how_to_get = "it is built in",
       .start = Builtin{}},
      {.name = "worker",
       .display_name = "",
       .argument = "PATH",
       .how_to_get = "write a program that speaks docs/protocol.md",
       .start = Program{},
       .reads_checkpoints = true},
      {.name = "trace",
       .display_name = "",
       .argument = "FILE",
       .how_to_get = "save a run with --save-trace",
       .start = Recording{}},
#ifdef CROSSVAL_EXTENSION
#include "extension/backend_rows.h"
#endif
  };
  return table;
}

namespace {

template <class Wanted>
std::string names_of(const Wanted& wanted) {
  std::string names;
  for (const Backend& row : all_backends()) {
    if (!wanted(row)) continue;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
    if (!row.argument.empty()) names += ":" + std::string(row.argument);
  }
  return names;
}

}  // namespace

const Backend* find_backend(std::string_view name) {
  for (const Backend& row : all_backends()) {
    if (row.name == name || (!row.display_name.empty() && row.display_name == name)) return &row;
  }
  return nullptr;
}

const Backend& program_backend() {
  const auto rows = all_backends();
  return *std::find_if(rows.begin(), rows.end(), [](const Backend& row) {
    return std::holds_alternative<Program>(row.start);
  });
}

ModelKind kind_of_model(const std::string& path) {
  std::error_code ignored;
  // No path is no folder, not the one that we are in.
  const bool is_checkpoint =
      !path.empty() &&
      std::filesystem::exists(std::filesystem::path(path) / "config.json", ignored);
  return is_checkpoint ? ModelKind::checkpoint : ModelKind::gguf;
}

std::string library_names() {
  return names_of([](const Backend& row) { return row.library() != nullptr; });
}

std::string python_names() {
  return names_of([](const Backend& row) { return row.python() != nullptr; });
}

std::string checkpoint_reader_names() {
  return names_of([](const Backend& row) { return row.reads_checkpoints; });
}

std::string backend_names() {
  return names_of([](const Backend&) { return true; });
}

}  // namespace crossval
