#include "conversion/tensor_check.h"

#include <algorithm>

namespace crossval {
namespace {

constexpr int64_t kElementsAtOnce = int64_t{1} << 16;
constexpr int64_t kSampleRows = 24;

size_t at(int64_t i) { return static_cast<size_t>(i); }

// Which rows are looked at.
class Rows {
 public:
  Rows(const TensorView& tensor, const TensorScope& scope) : n_all_(tensor.n_rows()) {
    const bool is_sample = scope.max_rows >= 0 && scope.max_rows < n_all_;
    n_ = is_sample ? scope.max_rows : n_all_;
  }
  int64_t count() const { return n_; }
  int64_t row(int64_t i) const { return n_ == n_all_ ? i : i * n_all_ / n_; }

 private:
  int64_t n_all_, n_ = 0;
};

WrongWeights check_as(const WeightRule& rule, const ElementSource& elements,
                      const TensorScope& scope, const Rows& rows, Between between,
                      ThreadPool& pool) {
  const int64_t row_len = rule.row_len();
  const int64_t n_rows_at_once = std::max<int64_t>(1, kElementsAtOnce / row_len);
  const int64_t n_chunks = (rows.count() + n_rows_at_once - 1) / n_rows_at_once;
  std::vector<WrongWeights> found(static_cast<size_t>(n_chunks));
  pool.run(n_chunks, [&](int64_t chunk, int) {
    thread_local std::vector<float> x;
    x.resize(static_cast<size_t>(row_len));
    const int64_t end = std::min(rows.count(), (chunk + 1) * n_rows_at_once);
    for (int64_t i = chunk * n_rows_at_once; i < end; ++i) {
      const int64_t row = rows.row(i);
      if (scope.is_turned) {
        for (int64_t c = 0; c < row_len; ++c) elements.read(c * row_len + row, 1, &x[at(c)]);
      } else {
        elements.read(scope.first_source + row * row_len, row_len, x.data());
      }
      rule.check_row(row, between, x.data(), found[at(chunk)]);
    }
  });
  WrongWeights all;
  for (const WrongWeights& one : found) all.merge(one);
  return all;
}

}  // namespace

TensorCheck check_tensor(const TensorView& tensor, const CheckpointSource& source,
                         const Checkpoint& checkpoint, ThreadPool& pool, const TensorScope& scope) {
  TensorCheck check;
  const ElementSource elements(source, checkpoint);
  const int64_t n_source = elements.n_elements() - scope.first_source;
  if (!elements.is_valid() || n_source < tensor.n_elements() ||
      (n_source != tensor.n_elements() && !scope.is_part)) {
    return check;
  }
  const WeightRule rule(tensor, elements.slack());
  if (!rule.is_known()) return check;
  const Rows rows(tensor, scope);
  check.is_compared = true;
  check.wrong = check_as(rule, elements, scope, rows, Between::nothing, pool);
  // A type of 16 bits holds what it was rounded to, whatever was before.
  const bool may_be_between = tensor.type != GgmlType::F16 && tensor.type != GgmlType::BF16;
  for (const Between between : {Between::f16, Between::bf16}) {
    if (check.wrong.n_wrong == 0 || !may_be_between || elements.is_16_bit()) break;
    WrongWeights wrong = check_as(rule, elements, scope, rows, between, pool);
    if (wrong.n_wrong >= check.wrong.n_wrong) continue;
    check.wrong = std::move(wrong);
    check.between = between;
  }
  return check;
}

bool is_source(const TensorView& tensor, const CheckpointSource& source,
               const Checkpoint& checkpoint, ThreadPool& pool, TensorScope scope) {
  scope.max_rows = kSampleRows;
  const TensorCheck sample = check_tensor(tensor, source, checkpoint, pool, scope);
  if (!sample.is_compared || sample.wrong.n_wrong != 0) return false;
  scope.max_rows = -1;
  return check_tensor(tensor, source, checkpoint, pool, scope).wrong.n_wrong == 0;
}

}  // namespace crossval
