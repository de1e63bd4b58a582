// The table of weight formats native can read, and what each kernel set promises.
//
// Every integer format reduces to the same form: blocks of `block_len` weights along a row, each
// with codes c (u8), and weight = d * (c - offset) + m. So a format only says how to unpack a row
// into codes, d and m; dequantisation, packing and the integer matmul are shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "gguf/types.h"

namespace crossval {

// How ggml rounds the activations that meet this weight type (ggml-cpu `vec_dot_type`).
enum class ActivationType { F32, F16, BF16, Q8_0, Q8_1, Q8_K };

struct Format {
  GgmlType type;
  ActivationType activation;  // under `ggml` numerics
  int sub_block_len;          // weights sharing one d (and m): 32, 16, ...; 0 = plain float format
  int offset;                 // subtracted from codes: 8 for Q4_0, 128 for Q8_0 stored as u8, ...
  bool has_min;               // m is not always 0
  // Reference: n weights (a whole number of blocks) of one row to f32, exactly as ggml's
  // dequantize_row_* does. The target may be scalar code the compiler vectorises.
  void (*dequantize)(const std::byte* row, int64_t n, float* out);
  // codes[n], d[n / sub_block_len], m[n / sub_block_len] (m only if has_min); null for floats.
  void (*unpack)(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m);
};

// nullptr when native has no reader for the type.
const Format* find_format(GgmlType type);
std::span<const Format> all_formats();

}  // namespace crossval
