// A short sorted list and a vectorised scan for entries above its last: about k ln(n/k) insertions.
#include "compare/topk.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/cpu.h"
#if CROSSVAL_X86
#include <immintrin.h>
#endif

namespace crossval {
namespace {

class TopList {
 public:
  explicit TopList(size_t k) : k_(k) { entries_.reserve(k + 1); }

  bool full() const { return entries_.size() == k_; }
  float last() const { return entries_.back().logit; }

  // Entries come in ascending order of id, so an equal logit never displaces an earlier one.
  void offer(float logit, size_t token) {
    if (std::isnan(logit) || (full() && !(logit > last()))) return;
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const TopEntry& entry) { return entry.logit < logit; });
    entries_.insert(at, TopEntry{static_cast<int32_t>(token), logit});
    if (entries_.size() > k_) entries_.pop_back();
  }

  std::vector<TopEntry> take() { return std::move(entries_); }

 private:
  size_t k_;
  std::vector<TopEntry> entries_;
};

#if CROSSVAL_X86
// Scans whole groups of 16 from `start` with a full list; returns where it stopped.
[[gnu::target("avx2")]] size_t scan_avx2(std::span<const float> row, size_t start, TopList& list) {
  __m256 last = _mm256_set1_ps(list.last());
  size_t i = start;
  for (; i + 16 <= row.size(); i += 16) {
    const __m256 above_0 = _mm256_cmp_ps(_mm256_loadu_ps(row.data() + i), last, _CMP_GT_OQ);
    const __m256 above_1 = _mm256_cmp_ps(_mm256_loadu_ps(row.data() + i + 8), last, _CMP_GT_OQ);
    if (_mm256_movemask_ps(_mm256_or_ps(above_0, above_1)) == 0) continue;
    for (size_t j = i; j < i + 16; ++j) list.offer(row[j], j);
    last = _mm256_set1_ps(list.last());
  }
  return i;
}
#endif

}  // namespace

std::vector<TopEntry> top_k(std::span<const float> row, int k) {
  if (k <= 0) return {};
  TopList list(std::min(static_cast<size_t>(k), std::max<size_t>(row.size(), 1)));
  size_t i = 0;
  for (; i < row.size() && !list.full(); ++i) list.offer(row[i], i);
#if CROSSVAL_X86
  if (list.full() && cpu_has_avx2_fma()) i = scan_avx2(row, i, list);
#endif
  for (; i < row.size(); ++i) list.offer(row[i], i);
  return list.take();
}

double overlap(std::span<const TopEntry> a, std::span<const TopEntry> b) {
  const size_t n = std::max(a.size(), b.size());
  if (n == 0) return 0;
  const auto shared = std::count_if(a.begin(), a.end(), [&](const TopEntry& x) {
    return std::any_of(b.begin(), b.end(), [&](const TopEntry& y) { return x.token == y.token; });
  });
  return static_cast<double>(shared) / static_cast<double>(n);
}

}  // namespace crossval
