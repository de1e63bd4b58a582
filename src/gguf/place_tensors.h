// Where the tensors of a part lie: sizes, offsets and overlaps checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gguf/i2_s_layout.h"
#include "gguf/reader.h"

namespace crossval {

// Gives every tensor of `part`, whose shapes, types and data_offset are set, its bytes of `file`.
// `offsets` are those of the data section, as stored. Throws bad_input.
void place_tensors(GgufPart& part, const std::vector<uint64_t>& offsets, const std::string& path,
                   std::span<const std::byte> file, std::optional<I2sLayout> forced);

}  // namespace crossval
