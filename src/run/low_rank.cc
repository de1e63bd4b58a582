#include "run/low_rank.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace crossval {
namespace {

constexpr int64_t kRows = 256;
constexpr double kHeld = 0.95;  // of the squared move; the rest is the rounding of what is stored

// Steps of a Cholesky factorisation with pivots (Golub and Van Loan, Matrix Computations, 4.2.8)
// until what is left of the trace is no more than 1 - kHeld of it; n when it never is.
int steps_to_hold(std::vector<double> gram, int n) {
  const auto at = [&](int i, int j) -> double& {
    return gram[static_cast<size_t>(i) * static_cast<size_t>(n) + static_cast<size_t>(j)];
  };
  double total = 0;
  for (int i = 0; i < n; ++i) total += at(i, i);
  if (!(total > 0) || !std::isfinite(total)) return n;
  for (int step = 0; step < n; ++step) {
    double left = 0;
    int pivot = 0;
    for (int i = 0; i < n; ++i) {
      left += std::max(0.0, at(i, i));
      if (at(i, i) > at(pivot, pivot)) pivot = i;
    }
    if (left <= (1 - kHeld) * total) return step;
    std::vector<double> column(static_cast<size_t>(n));
    const double root = std::sqrt(at(pivot, pivot));
    for (int i = 0; i < n; ++i) column[static_cast<size_t>(i)] = at(i, pivot) / root;
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j < n; ++j) {
        at(i, j) -= column[static_cast<size_t>(i)] * column[static_cast<size_t>(j)];
      }
    }
  }
  return n;
}

}  // namespace

std::optional<int> rank_of_move(const WeightView& from, const WeightView& to) {
  const auto n = static_cast<int>(std::min(kRows, from.n_rows));
  const auto n_columns = static_cast<size_t>(from.row_len);
  std::vector<float> move(static_cast<size_t>(n) * n_columns), other(n_columns);
  size_t n_moved = 0;
  for (int i = 0; i < n; ++i) {
    const int64_t row = from.n_rows * i / n;
    float* const out = move.data() + static_cast<size_t>(i) * n_columns;
    get_row(from, row, out);
    get_row(to, row, other.data());
    for (size_t j = 0; j < n_columns; ++j) {
      out[j] = other[j] - out[j];
      n_moved += out[j] != 0;
    }
  }
  if (n_moved * 2 < move.size()) return std::nullopt;
  std::vector<double> gram(static_cast<size_t>(n) * static_cast<size_t>(n));
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (size_t k = 0; k < n_columns; ++k) {
        dot += double{move[i * n_columns + k]} * move[j * n_columns + k];
      }
      gram[i * static_cast<size_t>(n) + j] = gram[j * static_cast<size_t>(n) + i] = dot;
    }
  }
  const int rank = steps_to_hold(std::move(gram), n);
  const int64_t smaller = std::min<int64_t>(n, from.row_len);
  return rank * 4 <= smaller ? std::optional(rank) : std::nullopt;
}

}  // namespace crossval
