// ChatGLM and GLM-4: gate and up in one matrix, part of each head rotated.
// Source: llama.cpp src/models/chatglm.cpp, glm4.cpp, glm4-moe.cpp.
#include <algorithm>

#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
std::vector<Arch> glm_archs() {
  const FeedForward fused = {.dense = {.fused = true}};
  Arch glm4 = {.name = "glm4", .rope = RopeStyle::norm, .layer = both_norms_layer({}, fused)};
  glm4.adjust = adjust_sections;
  glm4.layer[0].post_tap = "post_attn_norm";
  glm4.layer[1].post_tap = "post_mlp_norm";
  Arch glm4moe =
      mixture("glm4moe", RopeStyle::neox, {.qk_norm = QkNorm::head, .qk_norm_optional = true},
              kDeepSeekSigmoidExperts);
  glm4moe.adjust = adjust_sections;
  glm4moe.layer[1].norm = Role::attn_post_norm;
  glm4moe.layer[1].norm_tap = "post_attn_norm";
  return {{.name = "chatglm", .rope = RopeStyle::norm, .layer = pre_norm_layer({}, fused)},
          glm4,
          glm4moe};
}

}  // namespace crossval
