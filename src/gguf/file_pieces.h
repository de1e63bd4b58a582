// Models that travelled in pieces: cut up for a host's size limit and not joined again, or split by
// llama.cpp's gguf-split and then joined as if they had been cut.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "gguf/reader.h"

namespace crossval {

// read_gguf_part; where that fails and the file's name says that it is a piece (`.part1of2`,
// `.part1`, `-split-a`), the error says so and how to join them.
GgufPart read_whole_part(const std::string& path, std::span<const std::byte> file,
                         std::optional<I2sLayout> forced);

// Throws where another GGUF file follows behind the tensors of one that says it is split.
void refuse_joined_parts(const std::string& path, const GgufPart& part,
                         std::span<const std::byte> file);

}  // namespace crossval
