// The header of a safetensors file, checked: every tensor lies inside the file, has the bytes that
// its type and shape need, and the data has no hole and no overlap (format: huggingface/safetensors
// README). Saved traces and checkpoints are read by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/types.h"

namespace crossval {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;  // "F32", "F16", "I32", ...
  std::vector<int64_t> shape;
  std::span<const std::byte> data;  // may be unaligned: copy out of it
  // Of checkpoints (checkpoint.h): factors of blocks of so many rows and columns.
  std::span<const std::byte> scales = {};
  int64_t block_rows = 0, block_cols = 0;  // 0 = there are none

  std::optional<GgmlType> float_type() const;  // F32, F16 or BF16; nullopt for any other
  int64_t n_elements() const;
};

// What messages call such a file, and the way out.
struct SafetensorsWords {
  const char* foreign_code;  // of a file that is none
  const char* foreign_fix;
  const char* damaged_code;
  const char* damaged_fix;
  uint64_t max_header_bytes;  // parsing takes 40 times as many
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsTensor, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

// `file` must outlive the views. Throws bad_input.
SafetensorsHeader read_safetensors(std::span<const std::byte> file, const std::string& path,
                                   const SafetensorsWords& words);

}  // namespace crossval
