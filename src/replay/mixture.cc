// Mixtures of experts: MUL_MAT_ID, ADD_ID, and what chooses experts: ARGSORT, TOP_K, SUM_ROWS,
// MEAN.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "replay/families.h"
#include "replay/matmul.h"
#include "replay/mixture.h"

namespace crossval {

bool multiply_routed(Inputs& in, const RoutedSources& at, int variant, Recomputed& out) {
  const TapTensor &w = in.source(at.weights), &x = in.source(at.x), &ids = in.source(at.ids),
                  &y = in.out();
  const int64_t n_used = ids.ne[0], n_tokens = ids.ne[1];
  require_shape(w.ne[0] > 0 && w.ne[3] == 1 && x.ne[0] == w.ne[0] && x.ne[1] > 0 &&
                    n_used % x.ne[1] == 0 && x.ne[2] == n_tokens && x.ne[3] == 1 &&
                    y.ne[0] == w.ne[1] && y.ne[1] == n_used && y.ne[2] == n_tokens && y.ne[3] == 1,
                "experts, ids and result do not fit each other");
  const WeightView all = in.matrix(at.weights);
  require_shape(w.ne[0] % all.format->block_len == 0, "rows are no whole number of blocks");
  out.arithmetic = product_arithmetic(*all.format, variant);
  if (out.arithmetic == nullptr) return false;
  const std::vector<int64_t> experts = in.indices(at.ids);
  const std::span<const float> values = in.floats(at.x);
  const std::vector<float> norms = in.row_norms(at.weights);
  out.resize(y.n_elements());
  std::vector<std::vector<int64_t>> of_expert(static_cast<size_t>(w.ne[2]));
  for (int64_t i = 0; i < n_used * n_tokens; ++i) {
    const int64_t expert = experts[static_cast<size_t>(i)];
    require_shape(expert >= 0 && expert < w.ne[2], "there is no such expert");
    of_expert[static_cast<size_t>(expert)].push_back(i);
  }
  const bool before_rounding = in.is_before_rounding(at.weights);
  if (before_rounding && variant > 0) return false;
  if (before_rounding) out.arithmetic = "f32, weights before their rounding";
  std::vector<float> gathered, products, sigmas;
  for (int64_t expert = 0; expert < w.ne[2]; ++expert) {
    const std::vector<int64_t>& users = of_expert[static_cast<size_t>(expert)];
    const auto n = static_cast<int64_t>(users.size());
    if (n == 0) continue;
    gathered.resize(static_cast<size_t>(n * w.ne[0]));
    products.resize(static_cast<size_t>(n * w.ne[1]));
    sigmas.resize(products.size());
    for (int64_t i = 0; i < n; ++i) {
      const int64_t user = users[static_cast<size_t>(i)];
      const int64_t row = user / n_used * x.ne[1] + user % n_used % x.ne[1];
      std::copy_n(values.data() + row * w.ne[0], w.ne[0], gathered.data() + i * w.ne[0]);
    }
    WeightView one = all;
    one.n_rows = w.ne[1];
    one.data += expert * w.ne[1] * one.row_bytes;
    multiply({.w = one,
              .w_norms = std::span(norms).subspan(static_cast<size_t>(expert * w.ne[1])),
              .x = gathered.data(),
              .x_stride = w.ne[0],
              .n_tokens = n,
              .y = products.data(),
              .sigma = sigmas.data(),
              .y_stride = w.ne[1],
              .before_rounding = before_rounding},
             variant, in.pool());
    for (int64_t i = 0; i < n; ++i) {
      const int64_t to = users[static_cast<size_t>(i)] * w.ne[1];
      std::copy_n(products.data() + i * w.ne[1], w.ne[1], out.expected.data() + to);
      std::copy_n(sigmas.data() + i * w.ne[1], w.ne[1], out.sigma.data() + to);
    }
  }
  return true;
}

bool replay_mul_mat_id(Inputs& in, int variant, Recomputed& out) {
  return multiply_routed(in, {.weights = 0, .x = 1, .ids = 2}, variant, out);
}

// ik_llama.cpp: products with a weight for each expert used, added up. Sources: 0 [n, used,
// tokens], 1 [1, used, tokens]; result [n, tokens].
bool replay_mul_multi_add(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &w = in.source(1), &y = in.out();
  require_shape(!in.has(2), "scales of experts are not replayed");
  require_shape(x.ne[0] == y.ne[0] && x.ne[2] == y.ne[1] && x.ne[3] == 1 && w.ne[0] == 1 &&
                    w.ne[1] == x.ne[1] && w.ne[2] == x.ne[2],
                "experts, weights and result do not fit each other");
  const std::span<const float> values = in.floats(0), weights = in.floats(1);
  out.resize(y.n_elements());
  for (int64_t token = 0; token < x.ne[2]; ++token) {
    for (int64_t i = 0; i < x.ne[0]; ++i) {
      double sum = 0, magnitude = 0;
      for (int64_t used = 0; used < x.ne[1]; ++used) {
        const int64_t row = token * x.ne[1] + used;
        const double term = double{values[static_cast<size_t>(row * x.ne[0] + i)]} *
                            weights[static_cast<size_t>(row)];
        sum += term;
        magnitude += std::fabs(term);
      }
      out.set(token * x.ne[0] + i, sum, kUnit32 * (std::fabs(sum) + magnitude));
    }
  }
  return true;
}

// Sources: 0 [n, used, tokens], 1 biases [n, experts], 2 ids [used, tokens].
bool replay_add_id(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &bias = in.source(1), &ids = in.source(2);
  require_shape(x.ne == in.out().ne && bias.ne[0] == x.ne[0] && ids.ne[0] == x.ne[1] &&
                    ids.ne[1] == x.ne[2] && x.ne[3] == 1,
                "rows, biases and ids do not fit each other");
  const std::span<const float> values = in.floats(0), biases = in.floats(1);
  const std::vector<int64_t> experts = in.indices(2);
  out.resize(x.n_elements());
  for (int64_t r = 0; r < x.n_rows(); ++r) {
    const int64_t expert = experts[static_cast<size_t>(r)];
    require_shape(expert >= 0 && expert < bias.n_rows(), "there is no such expert");
    for (int64_t i = 0; i < x.ne[0]; ++i) {
      const double y = double{values[static_cast<size_t>(r * x.ne[0] + i)]} +
                       biases[static_cast<size_t>(expert * x.ne[0] + i)];
      out.set(r * x.ne[0] + i, y, 0.5 * kUnit32 * std::fabs(y));
    }
  }
  return true;
}

namespace {

enum class Sorting {
  ascending,
  descending,
  largest  // the largest, in any order (TOP_K)
};

// The order of a row's indices. Equal values may come in any order (and with TOP_K all of them), so
// what the engine chose is expected wherever it is a right choice. From n_read on nobody reads
// them.
void check_order(std::span<const float> row, Sorting sorting, int64_t n_read, int64_t n_chosen,
                 std::span<const float> chosen, float* expected) {
  std::vector<int64_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](int64_t i) { return row[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return sorting == Sorting::ascending ? value(a) < value(b) : value(a) > value(b);
  });
  std::vector<bool> is_taken(row.size());
  for (int64_t i = 0; i < n_chosen; ++i) {
    const float index = chosen[static_cast<size_t>(i)];
    bool is_right = index >= 0 && index < static_cast<float>(row.size()) &&
                    !is_taken[static_cast<size_t>(index)];
    if (is_right) {
      is_taken[static_cast<size_t>(index)] = true;
      const float got = row[static_cast<size_t>(index)];
      is_right = i >= n_read || sorting == Sorting::largest
                     ? i >= n_read || got >= value(order[static_cast<size_t>(n_chosen - 1)])
                     : got == value(order[static_cast<size_t>(i)]);
    }
    expected[i] = is_right ? index : static_cast<float>(order[static_cast<size_t>(i)]);
  }
}

bool replay_order(Inputs& in, int variant, Recomputed& out, bool any_order) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  require_shape(y.ne[0] > 0 && y.ne[0] <= x.ne[0] && y.n_rows() == x.n_rows() &&
                    (any_order || y.ne[0] == x.ne[0]),
                "there are not as many indices as values");
  const Sorting sorting = any_order              ? Sorting::largest
                          : in.param_i32(0) != 0 ? Sorting::descending  // GGML_SORT_ORDER_DESC
                                                 : Sorting::ascending;
  const int64_t n_read =
      any_order || in.param_i32(kArgsortNRead) <= 0 ? y.ne[0] : in.param_i32(kArgsortNRead);
  const std::span<const float> values = in.floats(0);
  const TapValues of_y(y);
  const std::span<const float> chosen = of_y.get();
  out.resize(y.n_elements());
  std::fill(out.sigma.begin(), out.sigma.end(), 0.0f);
  for (int64_t r = 0; r < y.n_rows(); ++r) {
    check_order(values.subspan(static_cast<size_t>(r * x.ne[0]), static_cast<size_t>(x.ne[0])),
                sorting, n_read, y.ne[0], chosen.subspan(static_cast<size_t>(r * y.ne[0])),
                out.expected.data() + r * y.ne[0]);
  }
  return true;
}

bool replay_sum(Inputs& in, int variant, Recomputed& out, bool is_mean) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  require_shape(x.ne[0] > 0 && y.ne[0] == 1 && y.n_rows() == x.n_rows(), "a row gives one sum");
  const std::span<const float> values = in.floats(0);
  out.resize(y.n_elements());
  for (int64_t r = 0; r < x.n_rows(); ++r) {
    double sum = 0, magnitude = 0;
    for (int64_t i = 0; i < x.ne[0]; ++i) {
      const double value = values[static_cast<size_t>(r * x.ne[0] + i)];
      sum += value;
      magnitude += std::fabs(value);
    }
    const double divisor = is_mean ? static_cast<double>(x.ne[0]) : 1;
    // Summed in double, or in a chain of f32 by some.
    const double chain = 0.3 * std::sqrt(static_cast<double>(x.ne[0])) + 0.5;
    out.set(r, sum / divisor, kUnit32 * (std::fabs(sum) + chain * magnitude) / divisor);
  }
  return true;
}

}  // namespace

bool replay_argsort(Inputs& in, int variant, Recomputed& out) {
  return replay_order(in, variant, out, false);
}

bool replay_top_k(Inputs& in, int variant, Recomputed& out) {
  return replay_order(in, variant, out, true);
}

// The place of the largest value of each row: of equal ones any.
bool replay_argmax(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &y = in.out();
  require_shape(x.ne[0] > 0 && y.n_elements() == x.n_rows(), "there is not one place per row");
  const std::span<const float> values = in.floats(0);
  const TapValues of_y(y);
  const std::span<const float> found = of_y.get();
  out.resize(y.n_elements());
  for (int64_t r = 0; r < x.n_rows(); ++r) {
    const auto row = values.subspan(static_cast<size_t>(r * x.ne[0]), static_cast<size_t>(x.ne[0]));
    const auto largest = std::max_element(row.begin(), row.end());
    const double place = found[static_cast<size_t>(r)];
    const bool is_right = place >= 0 && place < static_cast<double>(row.size()) &&
                          row[static_cast<size_t>(place)] == *largest;
    out.set(r, is_right ? place : static_cast<double>(largest - row.begin()), 0);
  }
  return true;
}

bool replay_sum_rows(Inputs& in, int variant, Recomputed& out) {
  return replay_sum(in, variant, out, false);
}

bool replay_mean(Inputs& in, int variant, Recomputed& out) {
  return replay_sum(in, variant, out, true);
}

}  // namespace crossval
