#include "arch/archs.h"

#include <iterator>

namespace crossval {

std::span<const Arch> all_archs() {
  static const std::vector<Arch> table = [] {
    std::vector<Arch> all;
    for (const auto family :
         {llama_archs,      bitnet_archs,  cohere_archs, deepseek_archs, deepseek4_archs,
          delta_net_archs,  falcon_archs,  gated_archs,  gemma_archs,    glm_archs,
          gpt_archs,        granite_archs, grok_archs,   hybrid_archs,   llama4_archs,
          plain_norm_archs, kimi_archs,    latent_archs, lfm2_archs,     mamba_archs,
          minimax_archs,    mixture_archs, olmo_archs,   phi_archs,      qwen_archs}) {
      std::vector<Arch> rows = family();
      all.insert(all.end(), std::make_move_iterator(rows.begin()),
                 std::make_move_iterator(rows.end()));
    }
    return all;
  }();
  return table;
}

const Arch* find_arch(std::string_view name) {
  for (const Arch& arch : all_archs()) {
    if (arch.name == name) return &arch;
  }
  return nullptr;
}

}  // namespace crossval
