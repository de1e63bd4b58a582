#include "engine/tap_rows.h"

#include <cassert>
#include <cstring>
#include <utility>

#include "base/half.h"

namespace crossval {
namespace {

// As f32; empty for a type without a conversion or data that does not fit the shape.
std::vector<float> floats_of(const TapTensor& tensor) {
  const int64_t n = tensor.n_elements();
  const int64_t width = tensor.type == GgmlType::F32 ? 4 : 2;
  if (n <= 0 || static_cast<int64_t>(tensor.data.size()) != n * width) return {};
  std::vector<float> values(static_cast<size_t>(n));
  switch (tensor.type) {
    case GgmlType::F32:
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
      return values;
    case GgmlType::F16:
      f16_to_f32_row(tensor.data.data(), n, values.data());
      return values;
    case GgmlType::BF16:
      bf16_to_f32_row(tensor.data.data(), n, values.data());
      return values;
    default:
      return {};
  }
}

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
  return std::span(*values).subspan(
      static_cast<size_t>(offset + (position - first_position) * row_len),
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

std::optional<TapRows> tap_rows(const Tap& tap, int n_tokens) {
  assert(n_tokens > 0);
  TapRows rows;
  rows.first_position = tap.first_position;
  rows.ne = tap.out.ne;
  std::vector<float> values = floats_of(tap.out);
  if (values.empty()) return std::nullopt;
  const auto n = static_cast<int64_t>(values.size());
  const auto done = [&] {
    rows.row_len = n / rows.n_rows;
    rows.values = std::make_shared<const std::vector<float>>(std::move(values));
    return rows;
  };
  rows.n_rows = 1;
  if (n_tokens == 1) return done();
  const int dim = token_dimension(tap, n_tokens);
  rows.by_position = dim >= 0;
  if (!rows.by_position) return done();
  rows.n_rows = n_tokens;
  int64_t inner = 1, outer = 1;
  for (int i = 0; i < 4; ++i) {
    if (i < dim) inner *= rows.ne[static_cast<size_t>(i)];
    if (i > dim) outer *= rows.ne[static_cast<size_t>(i)];
  }
  if (outer == 1) return done();  // positions are slowest already
  std::vector<float> turned(values.size());
  for (int64_t token = 0; token < n_tokens; ++token) {
    for (int64_t o = 0; o < outer; ++o) {
      std::memcpy(turned.data() + (token * outer + o) * inner,
                  values.data() + (o * n_tokens + token) * inner,
                  static_cast<size_t>(inner) * sizeof(float));
    }
  }
  values = std::move(turned);
  return done();
}

}  // namespace crossval
