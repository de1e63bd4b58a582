// Mixtures in the manner of DeepSeek (arXiv:2401.06066): a few dense layers first, then experts
// with some that every token takes. Source: llama.cpp src/models/deepseek.cpp, dots1.cpp,
// ernie4-5.cpp, bailingmoe.cpp.
#include "arch/archs.h"
#include "arch/experts.h"

namespace crossval {
std::vector<Arch> deepseek_archs() {
  Arch deepseek = mixture("deepseek", RopeStyle::norm, {},
                          {.weights_norm = Experts::Norm::no,
                           .layers = ExpertLayers::after_leading,
                           .scale_key = true,
                           .shared = true});
  Arch bailingmoe =
      mixture("bailingmoe", RopeStyle::norm, {},
              {.weights_norm = Experts::Norm::key, .scale_key = true, .shared = true});
  return {
      deepseek,
      mixture("dots1", RopeStyle::neox, {.qk_norm = QkNorm::head, .grouped = false},
              kDeepSeekExperts),
      mixture("ernie4_5-moe", RopeStyle::norm, {.out_bias = false},
              {.layers = ExpertLayers::interleaved, .selection_bias = true, .shared = true}),
      bailingmoe,
      mixture("bailingmoe2", RopeStyle::neox, {.qk_norm = QkNorm::head, .fused = true},
              kDeepSeekExperts),
  };
}

}  // namespace crossval
