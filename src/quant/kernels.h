// The inner loops, one table per instruction set, all giving the bits of the scalar reference
// (kernels_scalar.cc), which is the specification:
//
// integer: per output, sub-blocks in ascending order; i = sum of code * activation over the
//   sub-block - offset * sum of activations (exact, int32);
//   acc = fma(m, s, acc) where the format has a minimum; acc = fma(d_w * d_a, (float)i, acc).
// float: per output, chunks of kFloatChunk weights in ascending order; within a chunk one chain
//   acc = fma(w, x, acc) from 0; the chunk's sum is added to the total.
#pragma once

#include <cstdint>

#include "quant/formats.h"
#include "quant/isa.h"

namespace crossval {

inline constexpr int64_t kFloatChunk = 128;

// Activations of one token are rounded to codes (int8), and per sub-block of the weight format:
// d, s = what a weight minimum is multiplied with, sums = offset * sum of codes.
struct IntArgs {
  const uint8_t* codes;  // panel: [n_sub * sub_block_len / 4][kPanelRows][4]
  const float* d;        // [n_sub][kPanelRows]
  const float* m;
  int64_t n_sub;
  const int8_t* a;  // of the first token; tokens are a_stride apart
  int64_t a_stride;
  const float* da;  // [n_sub][sub_stride], tokens side by side, from the first token; so sa, sums
  const float* sa;
  const int32_t* sums;
  int64_t sub_stride;
  int64_t n_tokens;
  float* y;  // kPanelRows results of the first token; tokens are y_stride apart
  int64_t y_stride;
  bool first;  // y starts from 0, else the sums in y are continued
};
using IntKernel = void (*)(const IntArgs& args);

// Formats under ActivationType::I8_ROW have no scales inside a row, and are summed as integers over
// all of it. n weights (a multiple of 32) at a time; between `first` and `last` y holds the int32
// sums themselves; at the end y = (float)(sum of code * activation) - (float)row_sum.
struct SumArgs {
  const uint8_t* codes;  // panel, as in IntArgs; of at most 4 bits
  int64_t n;
  const int8_t* a;
  int64_t a_stride;
  const int32_t* row_sums;  // offset * sum of all codes of the token's row
  int64_t n_tokens;
  float* y;
  int64_t y_stride;
  bool first, last;
};
using SumKernel = void (*)(const SumArgs& args);

struct FloatArgs {
  const float* w;  // panel: [n][kPanelRows]
  int64_t n;       // a multiple of kFloatChunk except at the row's end
  const float* x;  // of the first token
  int64_t x_stride;
  int64_t n_tokens;
  float* y;
  int64_t y_stride;
  bool first;
};

// One token times a code panel of n weights (a multiple of kFloatChunk except at the row's end).
struct CodedArgs {
  CodePanel panel;
  int64_t n;
  int sub_block_len;
  int offset;
  bool has_min;
  const float* x;
  float* y;  // kPanelRows results
  bool first;
  // Memory that will be needed next, asked for evenly while this panel is multiplied: so many bytes
  // from here per sub-block. A hint, it may lie outside.
  const std::byte* ahead;
  int64_t ahead_per_sub;
};

// One row of activations rounded to 8 bits: n codes and n / sub_len of the others, which lie
// `sub_stride` apart (kernels read those of neighbouring tokens together).
struct RoundedRow {
  int64_t sub_stride;
  int8_t* codes;
  float* d;
  float* s;
  int32_t* sums;
};

struct Kernels {
  Isa isa;
  bool packs_avx2;  // may call Format::pack_avx2
  // The kernel for codes of at most `code_bits` bits in sub-blocks of 16 or 32.
  IntKernel (*int_kernel)(int code_bits, int sub_block_len, bool has_min);
  SumKernel (*sum_kernel)(int code_bits);
  void (*float_kernel)(const FloatArgs& args);
  // codes: kPanelRows rows of n bytes (n a multiple of 4), `stride` apart -> [n / 4][rows][4].
  void (*interleave_codes)(const uint8_t* rows, int64_t stride, int64_t n, uint8_t* panel);
  // kPanelRows rows of n floats, `stride` apart -> [n][rows].
  void (*interleave_floats)(const float* rows, int64_t stride, int64_t n, float* panel);
  // A code panel of n weights -> float panel [n][rows]: d * (c - offset) + m, rounded as
  // Format::dequantize rounds.
  void (*expand_codes)(const CodePanel& panel, int64_t n, int sub_block_len, int offset,
                       bool has_min, float* out);
  // expand_codes and float_kernel for one token, without the float panel in between.
  void (*coded_kernel)(const CodedArgs& args);
  // ggml's rounding of n activations (a multiple of 32, or of 256 for Q8_K).
  void (*round_q8)(const float* x, int64_t n, int offset, bool has_sum, int sub_len,
                   const RoundedRow& out);
  void (*round_q8_k)(const float* x, int64_t n, int offset, int sub_len, const RoundedRow& out);
};

const Kernels& scalar_kernels();
#if defined(__x86_64__)
const Kernels& avx2_kernels();
const Kernels& avx2vnni_kernels();
const Kernels& avx512_kernels();
const Kernels& avx512vnni_kernels();
#endif
const Kernels& kernels_of(Isa isa);  // the CPU must have it

// Of active_isa().
const Kernels& active_kernels();

}  // namespace crossval
