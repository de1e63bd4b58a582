// Reads one GGUF file (versions 2 and 3) out of memory. This is where untrusted bytes become
// trusted structures: every count, length, type, offset and size is checked here, before any
// memory is taken for it, and what is wrong is said with the key, tensor and byte offset.
// Layout: ggml/include/gguf.h of llama.cpp, docs/gguf.md of ggml.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "gguf/model_file.h"

namespace crossval {

// Ids of metadata values as stored (gguf.h `enum gguf_type`).
enum class GgufType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

// "u32", "array", ...; "type 77" for ids outside the format.
std::string gguf_type_name(uint32_t id);

// "576, 49152": ggml order, row length first.
std::string shape_text(std::span<const int64_t> shape);

struct GgufPart {
  int version = 0;
  uint32_t alignment = 32;
  uint64_t data_offset = 0;  // where the tensor data begins
  std::map<std::string, MetaValue, std::less<>> metadata;
  std::vector<TensorView> tensors;
  bool i2_s_by_size = false;  // sizes tell which class of I2_S layouts the tensors have
};

// `path` is only for messages. The result points into `file`. Throws bad_input. `forced`: the
// layout of I2_S tensors, which else is what their sizes say.
GgufPart read_gguf_part(const std::string& path, std::span<const std::byte> file,
                        std::optional<I2sLayout> forced = std::nullopt);

}  // namespace crossval
