#include "native/archs.h"

#include "native/arch/bitnet.h"
#include "native/arch/llama.h"

namespace crossval {

std::span<const Arch> all_archs() {
  static const Arch table[] = {
      {"llama", RopeStyle::norm, llama_layer_weights(), llama_unsupported_keys(), llama_layer},
      {"bitnet", RopeStyle::neox, bitnet_layer_weights(), bitnet_unsupported_keys(),
       bitnet_silu_layer, true},
      // ik_llama.cpp and newer bitnet.cpp; the official 2B-4T model.
      {"bitnet-25", RopeStyle::neox, bitnet_layer_weights(), bitnet_unsupported_keys(),
       bitnet_relu2_layer, true},
      {"bitnet-b1.58", RopeStyle::neox, bitnet_layer_weights(), bitnet_unsupported_keys(),
       bitnet_relu2_layer, true},
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
