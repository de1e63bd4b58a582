#include "quant/i2_s_guess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <numeric>

#include "quant/format_rows.h"
#include "quant/matmul.h"

namespace crossval {
namespace {

// Matrices and the norm whose output they multiply (llama.cpp's tensor names).
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kInputs = {{
    {"attn_q.weight", "attn_norm.weight"},
    {"attn_k.weight", "attn_norm.weight"},
    {"attn_v.weight", "attn_norm.weight"},
    {"attn_output.weight", "attn_sub_norm.weight"},
    {"ffn_gate.weight", "ffn_norm.weight"},
    {"ffn_up.weight", "ffn_norm.weight"},
    {"ffn_down.weight", "ffn_sub_norm.weight"},
}};

constexpr int64_t kMaxRows = 512;  // of a matrix, whole fours: enough to see its channels

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) {
      rank[order[j]] = static_cast<double>(i + end - 1) / 2;  // ties share theirs
    }
    i = end;
  }
  return rank;
}

// Spearman's correlation in standard deviations of chance; 0 where one side does not vary.
double correlation_z(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return 0;
  const double r = std::clamp(xy / std::sqrt(xx * yy), -0.999999, 0.999999);
  return std::atanh(r) * std::sqrt(static_cast<double>(x.size()) - 3);
}

// Weights that are not zero, counted where they are stored: [4][bytes of a period], the first index
// from the highest bits down; row by row (a period is a row), or by groups of four rows.
std::vector<double> stored_counts(const TensorView& tensor, int64_t period_bytes) {
  std::vector<double> counts(static_cast<size_t>(4 * period_bytes));
  const int64_t n_bytes = std::min(tensor.n_rows(), kMaxRows) * tensor.shape[0] / 4;
  for (int64_t at = 0; at < n_bytes; ++at) {
    const auto packed = static_cast<unsigned>(tensor.data[static_cast<size_t>(at)]);
    for (int64_t j = 0; j < 4; ++j) {
      const bool zero = (packed >> (6 - 2 * j) & 3u) == 1;
      counts[static_cast<size_t>(j * period_bytes + at % period_bytes)] += zero ? 0 : 1;
    }
  }
  return counts;
}

// The same by column, as the layout has them.
std::vector<double> column_counts(const TensorView& tensor, I2sLayout layout) {
  const int64_t n = tensor.shape[0];
  const bool rows4 = layout == I2sLayout::rows4;
  const int64_t period = rows4 ? n : n / 4;
  const std::vector<double> stored = stored_counts(tensor, period);
  const int64_t block = layout == I2sLayout::arm ? 64 : 128;
  std::vector<double> columns(static_cast<size_t>(n));
  for (int64_t p = 0; p < period; ++p) {
    for (int64_t j = 0; j < 4; ++j) {
      const int64_t column =
          rows4 ? p : p / (block / 4) * block + j * (block / 4) + p % (block / 4);
      columns[static_cast<size_t>(column)] += stored[static_cast<size_t>(j * period + p)];
    }
  }
  return columns;
}

struct Witness {
  const TensorView* tensor;
  std::vector<double> norm;  // magnitudes
};

std::vector<Witness> witnesses(const ModelFile& model) {
  std::vector<Witness> found;
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.type != GgmlType::I2_S || tensor.i2_s_layout != I2sLayout::x86) continue;
    for (const auto& [matrix, norm_name] : kInputs) {
      if (!tensor.name.ends_with(matrix)) continue;
      const std::string stem = tensor.name.substr(0, tensor.name.size() - matrix.size());
      const TensorView* norm = model.find_tensor(stem + std::string(norm_name));
      if (norm == nullptr || norm->type != GgmlType::F32 || norm->n_elements() != tensor.shape[0] ||
          tensor.shape[0] < 64) {
        continue;
      }
      Witness witness = {&tensor, {}};
      for (int64_t i = 0; i < norm->n_elements(); ++i) {
        const auto value = std::fabs(double{load_as<float>(norm->data.data() + 4 * i)});
        witness.norm.push_back(std::isfinite(value) ? value : 0);
      }
      found.push_back(std::move(witness));
    }
  }
  return found;
}

}  // namespace

std::vector<I2sEvidence> i2_s_evidence(const ModelFile& model, ThreadPool& pool) {
  std::vector<I2sEvidence> evidence;
  if (!model.i2_s() || model.i2_s()->layout != I2sLayout::x86) return evidence;
  const std::vector<Witness> found = witnesses(model);
  if (found.empty()) return evidence;
  const auto n = static_cast<int64_t>(found.size());
  for (const I2sLayoutInfo& info : i2_s_layouts()) {
    if (info.size_class != i2_s_layout_info(I2sLayout::x86).size_class) continue;
    if (!std::ranges::all_of(found, [&](const Witness& w) {
          return w.tensor->shape[0] % info.row_multiple == 0 &&
                 w.tensor->n_rows() % info.rows_multiple == 0;
        })) {
      continue;
    }
    std::vector<double> squares(found.size());
    pool.run(n, [&](int64_t i, int) {
      const Witness& witness = found[static_cast<size_t>(i)];
      const double z = correlation_z(column_counts(*witness.tensor, info.layout), witness.norm);
      squares[static_cast<size_t>(i)] = z * z;
    });
    const double sum = std::accumulate(squares.begin(), squares.end(), 0.0);
    const auto dof = static_cast<double>(n);  // chi-squared: mean n, variance 2 n
    evidence.push_back({info.layout, (sum - dof) / std::sqrt(2 * dof)});
  }
  std::ranges::stable_sort(evidence, std::greater<>(), &I2sEvidence::evidence);
  return evidence;
}

std::optional<I2sLayout> i2_s_guess(const std::vector<I2sEvidence>& evidence) {
  // Chance alone is beyond 20 once in 10^7 for a single tensor (one square above 29), more seldom
  // for several. x86 and arm share columns, so the right one must stand out as well.
  constexpr double kBeyondChance = 20, kStandsOut = 3;
  if (evidence.empty() || evidence[0].evidence < kBeyondChance) return std::nullopt;
  if (evidence.size() > 1 && evidence[0].evidence < kStandsOut * evidence[1].evidence) {
    return std::nullopt;
  }
  return evidence[0].layout;
}

}  // namespace crossval
