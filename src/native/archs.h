// The table of architectures native can run. One row here and one file in arch/ add one.
#pragma once

#include <span>
#include <string_view>

#include "native/config.h"
#include "native/forward.h"
#include "native/weights.h"

namespace crossval {

struct Arch {
  std::string_view name;  // general.architecture
  RopeStyle rope_style;
  std::span<const WeightSpec> layer_weights;
  // Metadata keys (after "<arch>.") that change the computation in a way this file does not
  // implement when they are present and not 0: native refuses rather than be wrong.
  std::span<const std::string_view> unsupported_keys;
  // One transformer layer, number pass.layer, over pass.x, in place.
  void (*layer)(ForwardPass& pass, const LayerWeights& weights);
  // Under `ggml` numerics, what meets f16 weights (the output matrix) or f16 values stays f32
  // instead of being rounded to f16: so bitnet.cpp of Oct 2024 computes batches of two or more
  // tokens (its ggml's llamafile_sgemm). Single tokens it rounds; native has one arithmetic for
  // both, since its results do not depend on how a prompt is cut.
  bool f32_beside_f16 = false;
};

// nullptr when native does not know the architecture.
const Arch* find_arch(std::string_view name);
std::span<const Arch> all_archs();

}  // namespace crossval
