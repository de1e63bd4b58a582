// TL1 (ARM) and TL2 (x86) of bitnet.cpp: ternary weights laid out for kernels that look sums up,
// pairs of weights or triples of them in four bits, in tiles whose sizes were tuned for each shape.
// Only the shapes that microsoft/BitNet publishes tiles for can be read. TL2 has the id of MXFP4 in
// the file; its size tells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "gguf/types.h"

namespace crossval {

// Bytes that the codes of a matrix take; the f32 scale follows, and 28 bytes more, within the
// tensor or as a tensor of its own. nullopt: no tiles were published for the shape.
std::optional<int64_t> tl_code_bytes(GgmlType type, std::span<const int64_t> shape);
inline constexpr int64_t kTlScaleBytes = 32;

// The same weights in I2_S's layout "arm", with the scale behind them. `codes` has tl_code_bytes.
std::vector<std::byte> tl_to_i2_s(GgmlType type, std::span<const std::byte> codes, float scale,
                                  std::span<const int64_t> shape);

}  // namespace crossval
