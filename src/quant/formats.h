// The table of weight formats native can read, and what each of them promises.
//
// Every integer format reduces to the same form: sub-blocks of `sub_block_len` weights along a
// row, with codes c (u8), and weight = d * (c - offset) + m. So a format only says how to unpack a
// row into codes, d and m; packing and the integer matmul are shared. A new format is one file and
// one row in formats.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "gguf/i2_s_layout.h"
#include "gguf/types.h"

namespace crossval {

// How ggml rounds the activations that meet this weight type (ggml-cpu `vec_dot_type`).
// I8_ROW is bitnet.cpp's: one scale per row; I8_FOUR and I8_FOUR_16 are ik_llama.cpp's Q8_K64 and
// Q8_K16: four per row, which positions take in turns of 4 or of 16.
enum class ActivationType { F32, F16, BF16, Q8_0, Q8_1, Q8_K, I8_ROW, I8_FOUR, I8_FOUR_16 };

// Positions in a row that share a scale; 0: the row does not have four.
constexpr int run_of_four(ActivationType type) {
  return type == ActivationType::I8_FOUR ? 4 : type == ActivationType::I8_FOUR_16 ? 16 : 0;
}

// Rows packed side by side: one AVX-512 register of results, two of AVX2.
inline constexpr int kPanelRows = 16;

// Where a panel of kPanelRows rows and n weights of each is unpacked to, interleaved for kernels:
// codes[n / 4][kPanelRows][4], d and m [n / sub_block_len][kPanelRows].
struct CodePanel {
  uint8_t* codes;
  float* d;
  float* m;                // written only where the format has_min
  bool asks_ahead = true;  // packing also prefetches the next panel; else its user does
};

// One token's activations rounded to codes; the others per sub-block (kernels.h, IntArgs), but
// under I8_ROW for the whole row: sums[0] alone.
struct OneToken {
  const int8_t* codes;
  const float* d;
  const float* s;
  const int32_t* sums;
};

// A scale for each row, an f16 or f32 of so many bytes (0: none): multiplied with a row's results,
// or with d of its sub-blocks, as the engine rounds.
struct RowScale {
  int n_bytes = 0;
  bool in_d = false;
};

struct Format {
  GgmlType type;
  ActivationType activation;  // under `ggml` numerics
  int block_len;              // weights in a stored block, and its bytes
  int block_bytes;
  int sub_block_len;  // weights sharing one d (and m): 32 or 16; 0 = plain float format
  int code_bits;      // codes < 2^code_bits: 2, 4 to 8; 0 = plain float format
  int offset;         // subtracted from codes: 8 for Q4_0, 128 for Q8_0 stored as u8, ...
  bool has_min;       // m is not always 0 (then offset is 0)
  // n weights (a whole number of blocks) of one row to f32, exactly as ggml's dequantize_row_*
  // does, bit for bit.
  void (*dequantize)(const std::byte* row, int64_t n, float* out);
  // codes[n], d[n / sub_block_len], m[n / sub_block_len] (m only if has_min); null for floats.
  void (*unpack)(const std::byte* row, int64_t n, uint8_t* codes, float* d, float* m);
  // First weight of the row that is, or is scaled by, a NaN or an Inf; -1 = none.
  int64_t (*first_non_finite)(const std::byte* row, int64_t n);
  // Optional short cut for CPUs with AVX2 and F16C: the same as unpacking kPanelRows rows, starting
  // at `row` and row_bytes apart, and interleaving them.
  void (*pack_avx2)(const std::byte* row, int64_t row_bytes, int64_t n,
                    const CodePanel& panel) = nullptr;
  // Optional as well, for one token under `ggml` numerics: y[kPanelRows] = whole rows of n weights
  // times x, the sums of kernels.h without a panel in between.
  void (*dot_avx2)(const std::byte* row, int64_t row_bytes, int64_t n, const OneToken& x,
                   float* y) = nullptr;
  // One f32 scale for the whole tensor lies behind its rows, or one for each row before it; what
  // dequantize and unpack give is still to be multiplied with it (WeightView does).
  bool has_tensor_scale = false;
  RowScale row_scale = {};
  int row_bytes_multiple = 1;  // rows are padded to whole multiples of so many bytes
  // Interleaved kinds: so many rows share their blocks, which are as many times as long, and their
  // scales lie together before them. `unpack` is null, and this one of the rows is unpacked.
  int rows_together = 1;
  void (*unpack_one)(const std::byte* rows, int row, int64_t n, uint8_t* codes, float* d,
                     float* m) = nullptr;
};

// nullptr when native has no reader for the type.
const Format* find_format(GgmlType type);
// Of I2_S tensors in this layout (those that ModelFile hands out: not rows4, not split).
const Format* find_i2_s_format(I2sLayout layout);
std::span<const Format* const> all_formats();

}  // namespace crossval
