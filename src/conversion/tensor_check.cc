#include "conversion/tensor_check.h"

#include <algorithm>

namespace crossval {
namespace {

constexpr int64_t kElementsAtOnce = int64_t{1} << 16;
constexpr int64_t kSampleRows = 24;

// Which rows are looked at, and where in the source each lies.
class Rows {
 public:
  Rows(const TensorView& tensor, const TensorScope& scope)
      : n_all_(tensor.n_rows()), experts_(scope.experts) {
    const bool is_sample = scope.max_rows >= 0 && scope.max_rows < n_all_;
    n_ = is_sample ? scope.max_rows : n_all_;
    if (!experts_.empty()) n_each_ = n_all_ / static_cast<int64_t>(experts_.size());
  }
  int64_t count() const { return n_; }
  int64_t row(int64_t i) const { return n_ == n_all_ ? i : i * n_all_ / n_; }
  int64_t source_row(int64_t row) const {
    if (experts_.empty()) return row;
    return experts_[static_cast<size_t>(row / n_each_)] * n_each_ + row % n_each_;
  }

 private:
  int64_t n_all_, n_ = 0, n_each_ = 1;
  const std::vector<int64_t>& experts_;
};

WrongWeights check_as(const WeightRule& rule, const ElementSource& elements, const Rows& rows,
                      Between between, ThreadPool& pool) {
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
      elements.read(rows.source_row(row) * row_len, row_len, x.data());
      rule.check_row(row, between, x.data(), found[static_cast<size_t>(chunk)]);
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
  if (!elements.is_valid() || elements.n_elements() != tensor.n_elements()) return check;
  const WeightRule rule(tensor, elements.slack());
  if (!rule.is_known()) return check;
  const Rows rows(tensor, scope);
  check.is_compared = true;
  check.wrong = check_as(rule, elements, rows, Between::nothing, pool);
  // A type of 16 bits holds what it was rounded to, whatever was before.
  const bool may_be_between = tensor.type != GgmlType::F16 && tensor.type != GgmlType::BF16;
  for (const Between between : {Between::f16, Between::bf16}) {
    if (check.wrong.n_wrong == 0 || !may_be_between || elements.is_16_bit()) break;
    WrongWeights wrong = check_as(rule, elements, rows, between, pool);
    if (wrong.n_wrong >= check.wrong.n_wrong) continue;
    check.wrong = std::move(wrong);
    check.between = between;
  }
  return check;
}

bool is_source(const TensorView& tensor, const CheckpointSource& source,
               const Checkpoint& checkpoint, ThreadPool& pool,
               const std::vector<int64_t>& experts) {
  TensorScope scope = {.max_rows = kSampleRows, .experts = experts};
  const TensorCheck sample = check_tensor(tensor, source, checkpoint, pool, scope);
  if (!sample.is_compared || sample.wrong.n_wrong != 0) return false;
  scope.max_rows = -1;
  return check_tensor(tensor, source, checkpoint, pool, scope).wrong.n_wrong == 0;
}

}  // namespace crossval
