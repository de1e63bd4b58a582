#include "compare/comparison.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "compare/distance.h"
#include "compare/top_pair.h"

namespace crossval {

const char* phase_name(Phase phase) { return phase == Phase::prompt ? "prompt" : "decode"; }

void Comparison::add(std::span<const PositionRows> batch, ThreadPool* pool) {
  if (batch.empty()) return;
  if (!batch.front().are_whole()) {
    add_tops(batch);
    return;
  }
  const size_t first = positions_.size();
  std::vector<ComparedPosition> compared(batch.size());
  std::vector<ShiftVote> votes(batch.size(), ShiftVote::none);
  const auto compare_one = [&](int64_t i, int) {
    const PositionRows& rows = batch[i];
    ComparedPosition& out = compared[i];
    out.index = rows.index;
    out.phase = rows.phase;
    out.token = rows.token;
    out.metrics = compare_rows(rows.engine, rows.backend, metrics_);
    if (!rows.rounding.empty()) {
      assert(rows.rounding.size() == rows.engine.size());
      const double distance = relative_distance(
          rows.rounding, rows.rounding_base.empty() ? rows.engine : rows.rounding_base);
      if (std::isfinite(distance)) out.rounding = distance;
    }
    const bool has_before = i > 0 || first > 0;
    if (!has_before) return;
    const std::span<const float> engine_before = i > 0 ? batch[i - 1].engine : last_engine_;
    const std::span<const float> backend_before = i > 0 ? batch[i - 1].backend : last_backend_;
    if (engine_before.size() != rows.engine.size()) return;
    if (backend_before.size() != rows.engine.size()) return;
    votes[i] =
        shift_vote(engine_before, backend_before, rows.engine, rows.backend, out.metrics.rel_l2);
  };
  const auto n = static_cast<int64_t>(batch.size());
  if (pool && n > 1) {
    pool->run(n, compare_one);
  } else {
    for (int64_t i = 0; i < n; ++i) compare_one(i, 0);
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    if (first + i > 0) shifts_.add(votes[i]);
    positions_.push_back(std::move(compared[i]));
  }
  last_engine_.assign(batch.back().engine.begin(), batch.back().engine.end());
  last_backend_.assign(batch.back().backend.begin(), batch.back().backend.end());
}

// A shift is not looked for: what two rows of another position have in common says little.
void Comparison::add_tops(std::span<const PositionRows> batch) {
  for (const PositionRows& rows : batch) {
    ComparedPosition& out = positions_.emplace_back();
    out.index = rows.index;
    out.phase = rows.phase;
    out.token = rows.token;
    const SidesOfTops sides{
        {rows.engine, rows.engine_top}, {rows.backend, rows.backend_top}, rows.rounding_base};
    out.metrics = compare_tops(sides, metrics_);
    if (rows.rounding.empty()) continue;
    const bool has_base = !rows.rounding_base.empty() || !rows.engine.empty();
    if (has_base) {
      out.rounding = top_rounding(
          sides, rows.rounding_base.empty() ? rows.engine : rows.rounding_base, rows.rounding);
    }
  }
}

void Comparison::set_rounding(std::span<const std::optional<double>> rounding) {
  for (ComparedPosition& position : positions_) {
    const auto index = static_cast<size_t>(position.index);
    if (!position.rounding && index < rounding.size()) position.rounding = rounding[index];
  }
}

void Comparison::raise_rounding(int index, double rounding) {
  for (ComparedPosition& position : positions_) {
    if (position.index == index) {
      position.rounding = std::max(position.rounding.value_or(0), rounding);
    }
  }
}

}  // namespace crossval
