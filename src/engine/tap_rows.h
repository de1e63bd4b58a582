// A tap's values as rows by position, so that a prompt evaluated at once and one that was cut can
// be compared row by row.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/tap.h"

namespace crossval {

struct TapRows {
  int first_position = 0;
  int n_rows = 0;
  int64_t row_len = 0;                       // values at one position
  std::array<int64_t, 4> ne = {1, 1, 1, 1};  // of the tensor they come from
  // False where no dimension counts the eval's tokens: all values are one row at first_position.
  bool by_position = true;
  std::span<const float> values;  // row 0 begins at `offset`
  int64_t offset = 0;
  TapData data;  // keeps `values`; shared with the tap and by slices

  int end_position() const { return first_position + n_rows; }
  int64_t n_bytes() const { return n_rows * row_len * static_cast<int64_t>(sizeof(float)); }
  std::span<const float> row(int position) const;
  // Those of positions [from, to), which must be among these.
  TapRows slice(int from, int to) const;
};

// Where a tap's values lie: that of position t and feature (o, i) at (o * n_tokens + t) * inner +
// i.
struct TapLayout {
  int64_t inner = 1, outer = 1;
};

// nullopt where no dimension counts the tokens, see tap_rows.
std::optional<TapLayout> tap_layout(const Tap& tap, int n_tokens);

// `n_tokens`: ids of the eval that gave the tap. The dimension of tokens is the last that counts
// them; of the scores and of what they weigh ("kq...", "kqv"), which ggml keeps as
// [.., n_tokens, n_heads], it is the second. nullopt for a tap without data or whose values are no
// floats (F32, F16, BF16).
std::optional<TapRows> tap_rows(const Tap& tap, int n_tokens);

}  // namespace crossval
