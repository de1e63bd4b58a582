// Hypotheses that need nothing but the numbers: what the tensor should hold, and what it holds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "replay/causes.h"

namespace crossval {
namespace {

struct Column {
  double difference2 = 0, expected2 = 0, observed2 = 0;
  bool is_bad() const { return difference2 > 1e-8 * std::max(expected2, 1e-30); }
  bool is_zero() const { return observed2 == 0 && expected2 > 0; }
};

struct Matrix {
  std::span<const float> values;
  int64_t n_rows, row_len;
  float at(int64_t row, int64_t column) const {
    return values[static_cast<size_t>(row * row_len + column)];
  }
};

double distance2(const Matrix& a, int64_t a_column, const Matrix& b, int64_t b_column) {
  double sum = 0;
  for (int64_t r = 0; r < a.n_rows; ++r) {
    const double d = double{a.at(r, a_column)} - b.at(r, b_column);
    sum += d * d;
  }
  return sum;
}

// Whether observed column c is expected column `from(c)`, for every c.
template <typename From>
bool columns_are(const Matrix& expected, const Matrix& observed, const From& from) {
  double difference = 0, power = 0;
  for (int64_t c = 0; c < observed.row_len; ++c) {
    difference += distance2(observed, c, expected, from(c));
  }
  for (const float v : expected.values) power += double{v} * v;
  return difference < 1e-8 * power;
}

std::optional<Explanation> find_permutation(const Matrix& expected, const Matrix& observed,
                                            int64_t head_dim) {
  if (head_dim < 2 || head_dim % 2 != 0 || observed.row_len % head_dim != 0) return std::nullopt;
  const int64_t half = head_dim / 2;
  const auto to_pairs = [&](int64_t c) {
    const int64_t i = c % head_dim;
    return c - i + (i % 2) * half + i / 2;
  };
  const auto to_halves = [&](int64_t c) {
    const int64_t i = c % head_dim;
    return c - i + (i % half) * 2 + i / half;
  };
  if (columns_are(expected, observed, to_pairs) || columns_are(expected, observed, to_halves)) {
    return Explanation{Cause::heads_permuted, "",
                       "equal up to a permutation within each head, the one that conversion makes "
                       "for rotation in pairs or in halves"};
  }
  const int64_t n_heads = observed.row_len / head_dim;
  std::vector<int64_t> source(static_cast<size_t>(n_heads));
  for (int64_t h = 0; h < n_heads; ++h) {
    double best = INFINITY;
    for (int64_t other = 0; other < n_heads; ++other) {
      double sum = 0;
      for (int64_t i = 0; i < head_dim && sum < best; ++i) {
        sum += distance2(observed, h * head_dim + i, expected, other * head_dim + i);
      }
      if (sum < best) {
        best = sum;
        source[static_cast<size_t>(h)] = other;
      }
    }
  }
  const auto swapped = [&](int64_t c) {
    return source[static_cast<size_t>(c / head_dim)] * head_dim + c % head_dim;
  };
  if (!columns_are(expected, observed, swapped)) return std::nullopt;
  for (int64_t h = 0; h < n_heads; ++h) {
    const int64_t other = source[static_cast<size_t>(h)];
    if (other != h) {
      return Explanation{Cause::heads_swapped, "",
                         fmt::format("the heads are in another order: where head {} should be is "
                                     "{}",
                                     h, other)};
    }
  }
  return std::nullopt;
}

std::string list_columns(const std::vector<int64_t>& columns) {
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(columns.size(), 4); ++i) {
    list += (i > 0 ? ", " : "") + std::to_string(columns[i]);
  }
  return list + (columns.size() > 4 ? ", ..." : "");
}

}  // namespace

std::optional<Explanation> explain_values(std::span<const float> expected_values,
                                          std::span<const float> observed_values, int64_t row_len,
                                          int head_dim) {
  if (row_len <= 0 || expected_values.size() != observed_values.size()) return std::nullopt;
  const auto n_rows = static_cast<int64_t>(expected_values.size()) / row_len;
  const Matrix expected{expected_values, n_rows, row_len};
  const Matrix observed{observed_values, n_rows, row_len};
  for (const float v : observed_values) {
    if (!std::isfinite(v)) return std::nullopt;  // told as what it is
  }
  std::vector<Column> columns(static_cast<size_t>(row_len));
  double cross = 0, expected2 = 0, observed2 = 0, difference2 = 0;
  for (int64_t r = 0; r < n_rows; ++r) {
    for (int64_t c = 0; c < row_len; ++c) {
      const double e = expected.at(r, c), o = observed.at(r, c);
      Column& column = columns[static_cast<size_t>(c)];
      column.difference2 += (e - o) * (e - o);
      column.expected2 += e * e;
      column.observed2 += o * o;
      cross += e * o;
    }
  }
  std::vector<int64_t> bad;
  bool all_bad_are_zero = true;
  for (int64_t c = 0; c < row_len; ++c) {
    const Column& column = columns[static_cast<size_t>(c)];
    expected2 += column.expected2;
    observed2 += column.observed2;
    difference2 += column.difference2;
    if (!column.is_bad()) continue;
    bad.push_back(c);
    all_bad_are_zero = all_bad_are_zero && column.is_zero();
  }
  if (expected2 == 0 || bad.empty()) return std::nullopt;
  if (observed2 == 0) {
    return Explanation{Cause::not_written, "", "the output is all zero: it was not computed"};
  }
  const double factor = cross / expected2;
  if (observed2 - factor * cross < 1e-5 * difference2) {
    return Explanation{Cause::scaled, "",
                       fmt::format("the whole tensor is scaled by {:.6g}", factor)};
  }
  if (static_cast<int64_t>(bad.size()) * 4 <= row_len && row_len > 1) {
    return Explanation{
        all_bad_are_zero ? Cause::zero_row : Cause::damaged_row, "",
        fmt::format("{} of {} columns are {}: {}", bad.size(), row_len,
                    all_bad_are_zero ? "zero" : "off, the others are right", list_columns(bad))};
  }
  if (auto permuted = find_permutation(expected, observed, head_dim)) return permuted;
  // Some hundreds of unrelated values correlate by less than this by chance.
  const double correlation = cross / std::sqrt(expected2 * observed2);
  if (std::abs(correlation) < std::max(0.1, 4 / std::sqrt(static_cast<double>(n_rows * row_len)))) {
    return Explanation{Cause::not_written, "",
                       fmt::format("the output has nothing to do with its inputs (correlation "
                                   "{:.2g} with what they call for): it was not computed",
                                   correlation)};
  }
  return std::nullopt;
}

}  // namespace crossval
