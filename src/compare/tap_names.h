// When two engines mean the same tensor: llama.cpp's names have changed over the years and its
// relatives fuse operations, so taps are paired by a canonical name and by the family of the
// operation, not by what each engine writes.
#pragma once

#include <compare>
#include <string>

#include "engine/tap.h"

namespace crossval {

struct TapKey {
  std::string stem;    // canonical name without the layer: "Qcur", "attn_out", "ffn_gate_par"
  int layer = -1;      // -1 = none
  std::string family;  // tells apart tensors of one name: "product", "bias", "rope", else the op
  int occurrence = 0;  // how many of this stem, layer and family came before in the same eval
  auto operator<=>(const TapKey&) const = default;
};

// The key of a tap, occurrence left at 0.
TapKey tap_key(const Tap& tap);

// Whether a tap can be paired between engines at all: it has a name of its own, and is no view, no
// cache (whose tensor is the whole cache) and no input.
bool is_pairable(const Tap& tap);

}  // namespace crossval
