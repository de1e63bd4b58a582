// Operations that move rows: GET_ROWS, SET_ROWS, CPY, CONT, CONCAT, REPEAT, PAD, SET. Values change
// only by the type they are stored in.
#include <array>
#include <cmath>
#include <span>

#include "replay/families.h"
#include "replay/requantize.h"
#include "replay/weight_rounding.h"

namespace crossval {
namespace {

// Dequantisation multiplies (and adds) in f32: a unit or two where contraction differs.
constexpr double kDequantized = 0.6 * kUnit32;

Unreplayable unknown_type(GgmlType type) {
  return {ReplayStatus::unknown_op,
          "storing as " + std::string(type_name(type)) + " is not replayed"};
}

// Rows as stored in the result's type. False when there is no such variant.
bool store(Inputs& in, std::span<const float> x, int64_t row_len, int variant, Recomputed& out) {
  const GgmlType type = in.out().type;
  const auto n = static_cast<int64_t>(x.size());
  out.resize(n);
  if (type == GgmlType::I32 || type == GgmlType::I64) {
    if (variant > 0) return false;
    for (int64_t i = 0; i < n; ++i) out.set(i, x[static_cast<size_t>(i)], 0);
    return true;
  }
  for (int64_t at = 0; at < n; at += row_len) {
    const char* name = store_row(type, variant, x.data() + at, row_len, out.expected.data() + at,
                                 out.sigma.data() + at);
    if (name == nullptr && variant == 0) throw unknown_type(type);
    if (name == nullptr) return false;
    out.arithmetic = name;
  }
  return true;
}

using Shape = std::array<int64_t, 4>;

int64_t flat(const Shape& ne, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
  return ((i3 * ne[2] + i2) * ne[1] + i1) * ne[0] + i0;
}

// Calls f(i, i0, i1, i2, i3) for each element in order.
template <typename F>
void each_element(const Shape& ne, const F& f) {
  int64_t i = 0;
  for (int64_t i3 = 0; i3 < ne[3]; ++i3) {
    for (int64_t i2 = 0; i2 < ne[2]; ++i2) {
      for (int64_t i1 = 0; i1 < ne[1]; ++i1) {
        for (int64_t i0 = 0; i0 < ne[0]; ++i0) f(i++, i0, i1, i2, i3);
      }
    }
  }
}

}  // namespace

bool replay_get_rows(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &rows = in.source(0), &ids = in.source(1), &y = in.out();
  require_shape(y.ne[0] == rows.ne[0] && y.ne[1] == ids.ne[0] && y.ne[2] == ids.ne[1] &&
                    y.ne[3] == ids.ne[2] && rows.ne[2] == ids.ne[1] && rows.ne[3] == ids.ne[2],
                "the result has another shape than rows and ids give");
  const std::vector<int64_t> indices = in.indices(1);
  const int64_t n = y.ne[0];
  // Only the rows asked for are dequantised: a table of embeddings has a hundred thousand.
  const bool is_integer = rows.type == GgmlType::I32;
  const std::span<const float> integers = is_integer ? in.floats(0) : std::span<const float>();
  const WeightView table = is_integer ? WeightView{} : in.matrix(0);
  out.resize(y.n_elements());
  for (int64_t r = 0; r < y.n_rows(); ++r) {
    const int64_t id = indices[static_cast<size_t>(r)];
    require_shape(id >= 0 && id < rows.ne[1], "an id lies outside the table");
    const int64_t row = r / ids.ne[0] * rows.ne[1] + id;
    float* to = out.expected.data() + r * n;
    if (is_integer) {
      std::copy_n(integers.data() + row * n, n, to);
    } else {
      get_row(table, row, to);
    }
    float* sigma = out.sigma.data() + r * n;
    const bool is_exact = is_integer || table.format->sub_block_len == 0;
    for (int64_t i = 0; i < n; ++i) {
      sigma[i] = is_exact ? 0 : static_cast<float>(kDequantized * std::fabs(to[i]));
    }
    if (in.is_before_rounding(0)) weight_errors(*table.format, to, n, sigma);
  }
  return true;
}

// Sources: 0 new rows, 1 where they go, 2 the tensor that is written to (the result is a view of
// it). The other rows are what they were before, which nobody captured: they count as right.
bool replay_set_rows(Inputs& in, int variant, Recomputed& out) {
  const TapTensor &x = in.source(0), &ids = in.source(1), &y = in.out();
  require_shape(x.ne[0] == y.ne[0] && x.ne[2] == y.ne[2] && x.ne[3] == y.ne[3] &&
                    ids.ne[0] == x.ne[1] && ids.ne[1] > 0 && ids.ne[2] > 0,
                "rows, ids and result do not fit each other");
  const std::vector<int64_t> indices = in.indices(1);
  const std::span<const float> rows = in.floats(0);
  const TapValues of_y(y);
  out.expected.assign(of_y.get().begin(), of_y.get().end());
  out.sigma.assign(out.expected.size(), 0);
  std::vector<float> values(static_cast<size_t>(y.ne[0])), sigma(static_cast<size_t>(y.ne[0]));
  for (int64_t r = 0; r < x.n_rows(); ++r) {
    const int64_t i1 = r % x.ne[1], i2 = r / x.ne[1] % x.ne[2], i3 = r / x.ne[1] / x.ne[2];
    const int64_t id = indices[static_cast<size_t>(
        ((i3 % ids.ne[2]) * ids.ne[1] + i2 % ids.ne[1]) * ids.ne[0] + i1)];
    require_shape(id >= 0 && id < y.ne[1], "an id lies outside the result");
    const char* name =
        store_row(y.type, variant, rows.data() + r * x.ne[0], x.ne[0], values.data(), sigma.data());
    if (name == nullptr && variant == 0) throw unknown_type(y.type);
    if (name == nullptr) return false;
    out.arithmetic = name;
    const int64_t to = flat(y.ne, 0, id, i2, i3);
    std::copy(values.begin(), values.end(), out.expected.begin() + to);
    std::copy(sigma.begin(), sigma.end(), out.sigma.begin() + to);
  }
  return true;
}

// CPY, CONT, DUP: the elements in order, whatever the two shapes.
bool replay_copy(Inputs& in, int variant, Recomputed& out) {
  require_shape(in.source(0).n_elements() == in.out().n_elements() && in.out().ne[0] > 0,
                "a copy keeps the number of elements");
  // Copied within one quantised type, blocks stay as they are.
  if (in.source(0).type == in.out().type && variant == 0) {
    const std::span<const float> x = in.floats(0);
    out.expected.assign(x.begin(), x.end());
    out.sigma.assign(x.size(), 0);
    return true;
  }
  return store(in, in.floats(0), in.out().ne[0], variant, out);
}

bool replay_concat(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const auto dim = static_cast<size_t>(in.param_i32(0));
  require_shape(dim < 4, "there is no such dimension");
  // Heads of which nothing is rotated, or all of it, join an empty part to the other.
  for (const size_t i : {size_t{0}, size_t{1}}) {
    if (dim == 0 && !in.has(i) && in.has(1 - i)) {
      require_shape(in.source(1 - i).ne == in.out().ne, "the sources do not fit each other");
      return store(in, in.floats(1 - i), in.out().ne[0], variant, out);
    }
  }
  const TapTensor &a = in.source(0), &b = in.source(1), &y = in.out();
  for (size_t d = 0; d < 4; ++d) {
    require_shape(
        d == dim ? y.ne[d] == a.ne[d] + b.ne[d] : y.ne[d] == a.ne[d] && y.ne[d] == b.ne[d],
        "the sources do not fit each other");
  }
  const std::span<const float> first = in.floats(0), second = in.floats(1);
  out.resize(y.n_elements());
  each_element(y.ne, [&](int64_t i, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    Shape at = {i0, i1, i2, i3};
    const bool is_first = at[dim] < a.ne[dim];
    if (!is_first) at[dim] -= a.ne[dim];
    const int64_t from = flat(is_first ? a.ne : b.ne, at[0], at[1], at[2], at[3]);
    out.set(i, (is_first ? first : second)[static_cast<size_t>(from)], 0);
  });
  return true;
}

bool replay_repeat(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  for (size_t d = 0; d < 4; ++d) {
    require_shape(x.ne[d] > 0 && y.ne[d] % x.ne[d] == 0, "the source does not repeat");
  }
  const std::span<const float> values = in.floats(0);
  out.resize(y.n_elements());
  each_element(y.ne, [&](int64_t i, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    const int64_t from = flat(x.ne, i0 % x.ne[0], i1 % x.ne[1], i2 % x.ne[2], i3 % x.ne[3]);
    out.set(i, values[static_cast<size_t>(from)], 0);
  });
  return true;
}

// Parameters: zeros before and behind, per dimension (before: none in engines of 2024, whose
// parameters are all 0 while the result is longer); 8: around a torus, which is not replayed.
bool replay_pad(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  if (in.param_i32(8) != 0) throw Unreplayable{ReplayStatus::unknown_op, "circular padding"};
  Shape before;
  for (size_t d = 0; d < 4; ++d) {
    before[d] = in.param_i32(2 * d);
    require_shape(before[d] >= 0 && y.ne[d] >= before[d] + x.ne[d], "the source does not fit");
  }
  const std::span<const float> values = in.floats(0);
  out.resize(y.n_elements());
  each_element(y.ne, [&](int64_t i, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    const Shape at = {i0 - before[0], i1 - before[1], i2 - before[2], i3 - before[3]};
    bool is_inside = true;
    for (size_t d = 0; d < 4; ++d) is_inside = is_inside && at[d] >= 0 && at[d] < x.ne[d];
    out.set(i, is_inside ? values[static_cast<size_t>(flat(x.ne, at[0], at[1], at[2], at[3]))] : 0,
            0);
  });
  return true;
}

// The first source with the second written over a part of it. Parameters, in bytes: 0 to 2 the
// strides of that part's rows, planes and batches, 3 where it starts.
bool replay_set(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &a = in.source(0), &b = in.source(1), &y = in.out();
  require_shape(a.ne == y.ne && a.type == y.type && b.type == y.type, "the result is another one");
  if (y.type != GgmlType::F32 && y.type != GgmlType::I32) throw unknown_type(y.type);
  const std::span<const float> before = in.floats(0), part = in.floats(1);
  out.expected.assign(before.begin(), before.end());
  out.sigma.assign(before.size(), 0);
  std::array<int64_t, 4> strides;  // in elements, of rows, planes, batches; then the start
  for (size_t i = 0; i < 4; ++i) {
    require_shape(in.param_i32(i) >= 0 && in.param_i32(i) % 4 == 0, "the part makes no sense");
    strides[i] = in.param_i32(i) / 4;
  }
  each_element(b.ne, [&](int64_t i, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
    // In order, so that the first place outside is met long before products could overflow.
    const int64_t to = strides[3] + i0 + i1 * strides[0] + i2 * strides[1] + i3 * strides[2];
    require_shape(to < y.n_elements(), "the part lies outside of the result");
    out.expected[static_cast<size_t>(to)] = part[static_cast<size_t>(i)];
  });
  return true;
}

}  // namespace crossval
