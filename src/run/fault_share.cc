#include "run/fault_share.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "compare/distance.h"
#include "native/native_engine.h"
#include "native/support.h"

namespace crossval {
namespace {

// Of more faults than these nobody asks which is the largest.
constexpr size_t kMaxFaults = 8;

using Logits = std::vector<std::vector<float>>;

// Rows of the prompt that were compared.
std::vector<int> compared_rows(const Report& report) {
  std::vector<int> rows;
  for (const JudgedPosition& position : report.positions) {
    if (position.compared.phase == Phase::prompt) rows.push_back(position.compared.index);
  }
  return rows;
}

Logits evaluate(std::shared_ptr<const ModelFile> model, std::shared_ptr<ThreadPool> pool,
                std::span<const TokenId> ids, const std::vector<int>& rows) {
  NativeEngine native(std::move(model), nullptr, {}, std::move(pool));
  native.reset(static_cast<int>(ids.size()));
  native.eval(ids);
  Logits logits;
  for (const int row : rows) {
    logits.emplace_back(static_cast<size_t>(native.info().n_vocab));
    native.read_logits(row, 1, logits.back());
  }
  return logits;
}

// Root of the mean square over the positions.
double root_mean_square(double sum_squares, size_t n) {
  return n == 0 ? 0 : std::sqrt(sum_squares / static_cast<double>(n));
}

double distance(const Logits& a, const Logits& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(relative_distance(a[i], b[i]), 2);
  return root_mean_square(sum, a.size());
}

double whole_distance(const Report& report) {
  double sum = 0;
  size_t n = 0;
  for (const JudgedPosition& position : report.positions) {
    if (position.compared.phase != Phase::prompt) continue;
    sum += std::pow(position.compared.metrics.rel_l2.value_or(NAN), 2);
    ++n;
  }
  return root_mean_square(sum, n);
}

// Of its weights those that the other file has in other bytes.
std::vector<std::string> differing(const TraceFault& fault, const ModelFile& a,
                                   const ModelFile& b) {
  std::vector<std::string> names;
  std::ranges::copy_if(fault.weights, std::back_inserter(names), [&](const std::string& name) {
    const TensorView* one = a.find_tensor(name);
    const TensorView* other = b.find_tensor(name);
    return one != nullptr && other != nullptr && one->shape == other->shape &&
           (one->type != other->type || !std::ranges::equal(one->data, other->data));
  });
  return names;
}

}  // namespace

void measure_fault_shares(const std::shared_ptr<const ModelFile>& model,
                          const std::shared_ptr<const ModelFile>& backend_model, int n_threads,
                          Progress& progress, TraceReport& report) {
  const double whole = whole_distance(report.base);
  const bool is_known = backend_model && report.faults.size() > 1 &&
                        report.faults.size() <= kMaxFaults && std::isfinite(whole) && whole > 0 &&
                        report.base.tokens.engine && !native_unsupported_reason(*model);
  if (!is_known) return;
  progress.stage("measuring each fault's share");
  const auto pool = std::make_shared<ThreadPool>(n_threads);
  // The prompt's.
  const std::vector<TokenId>& ids = *report.base.tokens.engine;
  const std::vector<int> rows = compared_rows(report.base);
  Logits sound;
  for (TraceFault& fault : report.faults) {
    const std::vector<std::string> names = differing(fault, *model, *backend_model);
    if (names.empty()) continue;
    const auto mixed = model->with_tensors_of(*backend_model, names);
    if (native_unsupported_reason(*mixed)) continue;
    if (sound.empty()) sound = evaluate(model, pool, ids, rows);
    const double alone = distance(evaluate(mixed, pool, ids, rows), sound);
    if (std::isfinite(alone)) fault.share = alone / whole;
  }
  progress.stage("");
}

}  // namespace crossval
