// Mamba and Mamba 2: no attention and no feed-forward part, one scan per layer (arXiv:2312.00752,
// arXiv:2405.21060). Source: llama.cpp src/models/mamba.cpp, mamba2.cpp.
#include "arch/archs.h"

namespace crossval {
namespace {

Arch mamba(std::string_view name, const SelectiveScan& scan) {
  return {
      .name = name,
      .rope = RopeStyle::none,
      .layer = {
          {.norm = Role::attn_norm, .block = scan, .norm_tap = "attn_norm", .sum_tap = "l_out"}}};
}

}  // namespace

std::vector<Arch> mamba_archs() {
  return {mamba("mamba", {.form = SelectiveScan::Form::mamba1}),
          mamba("mamba2", {.form = SelectiveScan::Form::mamba2,
                           .group_norm = SelectiveScan::GroupNorm::yes,
                           .out_tap = "mamba_out"})};
}

}  // namespace crossval
