#include "native/archs.h"

#include "native/arch/llama.h"

namespace crossval {

std::span<const Arch> all_archs() {
  static const Arch table[] = {
      {"llama", RopeStyle::norm, llama_layer_weights(), llama_unsupported_keys(), llama_layer},
  };
  return table;
}

const Arch* find_arch(std::string_view name) {
  for (const Arch& arch : all_archs()) {
    if (arch.name == name) return &arch;
  }
  return nullptr;
}

}  // namespace crossval
