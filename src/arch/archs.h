// The table of architectures. A new one is a file in this folder and a row in archs.cc.
#pragma once

#include <span>
#include <string_view>

#include "arch/arch.h"

namespace crossval {

// nullptr when the table does not know the architecture.
const Arch* find_arch(std::string_view name);
std::span<const Arch> all_archs();

// Rows by family, each in the file of its name.
std::vector<Arch> bitnet_archs();
std::vector<Arch> cohere_archs();
std::vector<Arch> deepseek_archs();
std::vector<Arch> deepseek4_archs();
std::vector<Arch> delta_net_archs();
std::vector<Arch> falcon_archs();
std::vector<Arch> gated_archs();
std::vector<Arch> gemma_archs();
std::vector<Arch> glm_archs();
std::vector<Arch> gpt_archs();
std::vector<Arch> granite_archs();
std::vector<Arch> grok_archs();
std::vector<Arch> hybrid_archs();
std::vector<Arch> kimi_archs();
std::vector<Arch> latent_archs();
std::vector<Arch> lfm2_archs();
std::vector<Arch> llama_archs();
std::vector<Arch> llama4_archs();
std::vector<Arch> mamba_archs();
std::vector<Arch> minimax_archs();
std::vector<Arch> mixture_archs();
std::vector<Arch> olmo_archs();
std::vector<Arch> phi_archs();
std::vector<Arch> plain_norm_archs();
std::vector<Arch> qwen_archs();

}  // namespace crossval
