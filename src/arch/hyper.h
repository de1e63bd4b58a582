// What rows of several families say alike about hyper connections (Arch::hyper).
#pragma once

#include <vector>

#include "arch/arch.h"

namespace crossval {

// Of attention, then the feed-forward part.
inline void set_hyper_roles(std::vector<Branch>& layer) {
  layer[0].hyper_fn = Role::hc_attn_fn;
  layer[0].hyper_base = Role::hc_attn_base;
  layer[0].hyper_scale = Role::hc_attn_scale;
  layer[1].hyper_fn = Role::hc_ffn_fn;
  layer[1].hyper_base = Role::hc_ffn_base;
  layer[1].hyper_scale = Role::hc_ffn_scale;
}

}  // namespace crossval
