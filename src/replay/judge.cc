// Judges parts of a tensor. Errors of one part average out over its elements, a fault does not: a
// single weight code changes one column by far more than its bound while it hides in every other
// sum. So each element, each row and each column has its own bound, and the worst one counts.
#include "replay/judge.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <vector>

namespace crossval {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Below the smallest normal float, engines may flush to zero.
constexpr double kSmallest = 2e-38;

struct Sums {
  double error = 0, expected = 0;  // of squares
  double in_sigmas = 0;            // of squares of error / sigma
  void add(double e, double s, double x) {
    error += e * e;
    expected += x * x;
    in_sigmas += e * e / (s * s);
  }
};

double ratio_of(double error, double bound) {
  return error == 0 ? 0 : bound > 0 ? error / bound : kInf;
}

double relative(double error, double expected) {
  return error == 0 ? 0 : expected > 0 ? error / expected : kInf;
}

// Rows that are the same but for a few roundings (one token again and again) err alike: they are
// one sample, however many there are. Looks among the latest kinds of rows only; tells whether r is
// new.
class Kinds {
 public:
  bool is_new(const Recomputed& recomputed, int64_t r, int64_t row_len) {
    for (const int64_t kind : kinds_) {
      if (are_alike(recomputed, kind * row_len, r * row_len, row_len)) return false;
    }
    if (kinds_.size() < kMost) {
      kinds_.push_back(r);
    } else {
      kinds_[next_++ % kMost] = r;
    }
    return true;
  }

 private:
  static constexpr size_t kMost = 16;
  static bool are_alike(const Recomputed& recomputed, int64_t a, int64_t b, int64_t n) {
    for (int64_t c = 0; c < n; ++c) {
      const auto i = static_cast<size_t>(a + c), k = static_cast<size_t>(b + c);
      const double difference = std::fabs(double{recomputed.expected[i]} - recomputed.expected[k]);
      if (!(difference <= 16 * double{recomputed.sigma[i]})) return false;
    }
    return true;
  }
  std::vector<int64_t> kinds_;
  size_t next_ = 0;
};

// Each element is measured by its own sigma before they are summed: a token with outliers may be
// off by more than all others together, and would hide what is wrong in them.
void offer(const Sums& sums, int64_t n, int64_t index, Deviation& worst) {
  const double ratio = std::sqrt(sums.in_sigmas / static_cast<double>(n)) / allowed_sigmas(n);
  if (worst.index >= 0 && ratio <= worst.ratio) return;
  worst = {index, std::sqrt(relative(sums.error, sums.expected)), ratio};
}

}  // namespace

double allowed_sigmas(int64_t n) {
  // 10 for one element: none of the millions in a run may be called a fault, and single sums whose
  // terms cancel are several times worse than their neighbours. 2 for many: sigma is an upper
  // estimate already, and this leaves as much again.
  return 2 + 8 / std::sqrt(static_cast<double>(std::max<int64_t>(n, 1)));
}

void judge(const Judged& judged, const Recomputed& recomputed, Replayed& out) {
  const auto n = static_cast<int64_t>(judged.values.size());
  const int64_t row_len = judged.row_len;
  assert(row_len > 0 && n % row_len == 0);
  assert(recomputed.expected.size() == judged.values.size());
  const int64_t n_rows = n / row_len;
  std::vector<Sums> columns(static_cast<size_t>(row_len));
  Sums all;
  double all_sigma = 0;
  Kinds kinds;
  int64_t n_new_rows = 0;
  double new_error = 0, new_sigma = 0;  // of squares, over rows that are no repetitions
  const double element_bound = allowed_sigmas(1);
  for (int64_t r = 0; r < n_rows; ++r) {
    Sums row;
    const bool is_new = kinds.is_new(recomputed, r, row_len);
    n_new_rows += is_new ? 1 : 0;
    for (int64_t c = 0; c < row_len; ++c) {
      const auto i = static_cast<size_t>(r * row_len + c);
      const double y = judged.values[i], x = recomputed.expected[i];
      if (!std::isfinite(y) || !std::isfinite(x)) {
        if (std::isnan(y) ? std::isnan(x) : y == x) continue;
        // An overflow where only a little was missing is still another value: inf counts as far.
        (std::isfinite(x) ? out.n_born : out.n_lost) += 1;
        if (out.element.ratio < kInf) out.element = {static_cast<int64_t>(i), kInf, kInf};
        if (out.row.ratio < kInf) out.row = {r, kInf, kInf};
        if (out.column.ratio < kInf) out.column = {c, kInf, kInf};
        continue;
      }
      const double e = std::fabs(y - x);
      // A bound that is not finite (inputs of 1e38) says nothing.
      const double s = std::min(double{recomputed.sigma[i]} + kSmallest, 1e150);
      if (e > out.element.ratio * element_bound * s || out.element.index < 0) {
        out.element = {static_cast<int64_t>(i), relative(e, std::fabs(x)),
                       ratio_of(e, element_bound * s)};
      }
      row.add(e, s, x);
      all_sigma += s * s;
      if (!is_new) continue;
      new_error += e * e;
      new_sigma += s * s;
      columns[static_cast<size_t>(c)].add(e, s, x);
    }
    if (row_len > 1) offer(row, row_len, r, out.row);
    all.error += row.error;
    all.expected += row.expected;
  }
  if (n_rows > 1) {
    for (int64_t c = 0; c < row_len; ++c) {
      offer(columns[static_cast<size_t>(c)], n_new_rows, c, out.column);
    }
  }
  out.rel_l2 = out.n_born + out.n_lost > 0 ? kInf : std::sqrt(relative(all.error, all.expected));
  const double bound = allowed_sigmas(n) * std::sqrt(all_sigma);
  out.floor = all.expected > 0 ? bound / std::sqrt(all.expected) : 0;
  const double bound_of_new = allowed_sigmas(n_new_rows * row_len) * std::sqrt(new_sigma);
  out.ratio = std::max({out.element.ratio, out.row.ratio, out.column.ratio,
                        ratio_of(std::sqrt(new_error), bound_of_new)});
}

}  // namespace crossval
