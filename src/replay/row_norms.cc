// Sums of squares over stored rows.
#include "replay/row_norms.h"

#include <algorithm>
#include <cmath>

#include "replay/ik_lifts.h"

namespace crossval {
namespace {

struct RowBuffers {
  std::vector<float> values, d, m;
  std::vector<uint8_t> codes;
};

double squares(const float* x, int64_t n) {
  double lanes[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int lane = 0; lane < 4; ++lane) lanes[lane] += double{x[i + lane]} * x[i + lane];
  }
  for (; i < n; ++i) lanes[0] += double{x[i]} * x[i];
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

// The squares of what is summed: codes with their scales, and minima or what lifts codes each by
// themselves.
double squares_of_parts(const WeightView& w, int64_t row, int lift, RowBuffers& b) {
  const Format& format = *w.format;
  const int64_t n = w.row_len, n_sub = n / format.sub_block_len;
  b.codes.resize(static_cast<size_t>(n));
  b.d.resize(static_cast<size_t>(n_sub));
  b.m.resize(static_cast<size_t>(n_sub));
  w.unpack(row, 0, n, b.codes.data(), b.d.data(), b.m.data());
  double sum = 0;
  for (int64_t sub = 0; sub < n_sub; ++sub) {
    int64_t of_codes = 0;
    const uint8_t* codes = b.codes.data() + sub * format.sub_block_len;
    for (int i = 0; i < format.sub_block_len; ++i) {
      const int code = codes[i] - format.offset;
      of_codes += int64_t{code} * code;
    }
    const double d = b.d[static_cast<size_t>(sub)];
    const double m = format.has_min ? b.m[static_cast<size_t>(sub)] : lift * d;
    sum += d * d * static_cast<double>(of_codes) + m * m * format.sub_block_len;
  }
  return sum;
}

}  // namespace

double norm(const float* x, int64_t n) { return std::sqrt(squares(x, n)); }

std::vector<float> row_norms(const WeightView& w, ThreadPool& pool) {
  std::vector<float> norms(static_cast<size_t>(w.n_rows));
  constexpr int64_t kRowsPerItem = 64;
  const int lift = ik_lifts_by(w.format->type);
  pool.run((w.n_rows + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item, int) {
    RowBuffers buffers;
    for (int64_t r = item * kRowsPerItem; r < std::min(w.n_rows, (item + 1) * kRowsPerItem); ++r) {
      double sum;
      if (w.format->has_min || lift > 0) {
        sum = squares_of_parts(w, r, lift, buffers);
      } else {
        buffers.values.resize(static_cast<size_t>(w.row_len));
        get_row(w, r, buffers.values.data());
        sum = squares(buffers.values.data(), w.row_len);
      }
      norms[static_cast<size_t>(r)] = static_cast<float>(std::sqrt(sum));
    }
  });
  return norms;
}

}  // namespace crossval
