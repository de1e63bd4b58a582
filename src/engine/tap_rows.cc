#include "engine/tap_rows.h"

#include <cassert>
#include <cstring>
#include <utility>

namespace crossval {
namespace {

int token_dimension(const Tap& tap, int n_tokens) {
  const bool heads_last =
      tap.name.starts_with("kq") && !tap.name.starts_with("kqv_out") && tap.out.ne[2] > 1;
  if (heads_last && tap.out.ne[1] == n_tokens) return 1;
  for (int dim = 3; dim > 0; --dim) {
    if (tap.out.ne[static_cast<size_t>(dim)] == n_tokens) return dim;
  }
  return -1;
}

}  // namespace

std::span<const float> TapRows::row(int position) const {
  assert(position >= first_position && position < end_position());
  return values.subspan(static_cast<size_t>(offset + (position - first_position) * row_len),
                        static_cast<size_t>(row_len));
}

TapRows TapRows::slice(int from, int to) const {
  assert(from >= first_position && from < to && to <= end_position());
  TapRows part = *this;
  part.first_position = from;
  part.n_rows = to - from;
  part.offset += (from - first_position) * row_len;
  return part;
}

std::optional<TapLayout> tap_layout(const Tap& tap, int n_tokens) {
  const int dim = n_tokens == 1 ? 3 : token_dimension(tap, n_tokens);
  if (dim < 0) return std::nullopt;
  TapLayout layout;
  for (int i = 0; i < 4; ++i) {
    if (i < dim) layout.inner *= tap.out.ne[static_cast<size_t>(i)];
    if (i > dim) layout.outer *= tap.out.ne[static_cast<size_t>(i)];
  }
  return layout;
}

std::optional<TapRows> tap_rows(const Tap& tap, int n_tokens) {
  assert(n_tokens > 0);
  TapRows rows;
  rows.first_position = tap.first_position;
  rows.ne = tap.out.ne;
  rows.values = tap.out.floats();
  if (rows.values.empty()) return std::nullopt;
  rows.data = tap.out.data;
  const auto n = static_cast<int64_t>(rows.values.size());
  const std::optional<TapLayout> layout = tap_layout(tap, n_tokens);
  rows.by_position = layout.has_value();
  rows.n_rows = rows.by_position ? n_tokens : 1;
  rows.row_len = n / rows.n_rows;
  if (rows.n_rows == 1) return rows;
  const auto [inner, outer] = *layout;
  if (outer == 1) return rows;  // positions are slowest already
  std::vector<std::byte> bytes(static_cast<size_t>(n) * sizeof(float));
  for (int64_t token = 0; token < n_tokens; ++token) {
    for (int64_t o = 0; o < outer; ++o) {
      std::memcpy(bytes.data() + static_cast<size_t>((token * outer + o) * inner) * sizeof(float),
                  rows.values.data() + (o * n_tokens + token) * inner,
                  static_cast<size_t>(inner) * sizeof(float));
    }
  }
  rows.data = TapData(std::move(bytes));
  rows.values = rows.data.floats(GgmlType::F32);
  return rows;
}

}  // namespace crossval
