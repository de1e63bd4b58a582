#include "compare/pair_taps.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

#include "compare/distance.h"

namespace crossval {

void TapPairing::add(Side side, const Tap& tap, int n_tokens, int index) {
  if (!is_pairable(tap)) return;
  Flow& own = flow_of(side);
  Flow& other = flow_of(side == Side::engine ? Side::backend : Side::engine);
  std::optional<TapRows> rows = tap_rows(tap, n_tokens);
  Lock lock(mutex_);
  if (aborted_) throw TapPairingAborted();
  Pending mine{arrive(own, tap), tap.name, tap.op, tap.occurrence, index, {}};
  changed_.notify_all();
  if (!rows) {
    drop(own, mine, UnpairedTap::Reason::no_values);
    return;
  }
  mine.rows = std::move(*rows);
  if (options_.lockstep) {
    wait_for_other(lock, own, other, mine.rows.n_bytes());
    drop_passed();
  }
  const std::list<Pending> partners = take_partners(other, mine);
  // What of mine no partner covers waits for one.
  int next = mine.rows.first_position;
  const auto keep_until = [&](int position) {
    if (next >= position) return;
    Pending part = mine;
    part.rows = mine.rows.slice(next, position);
    keep(own, std::move(part));
  };
  for (const Pending& partner : partners) {
    keep_until(partner.rows.first_position);
    next = partner.rows.end_position();
  }
  keep_until(mine.rows.end_position());
  for (const Pending& partner : partners) {
    side == Side::engine ? compare(mine, partner, lock) : compare(partner, mine, lock);
  }
  if (!partners.empty()) changed_.notify_all();
}

// Notes how far the side is; the tap's key.
TapKey TapPairing::arrive(Flow& own, const Tap& tap) {
  if (own.idle || tap.first_position != own.first_position) {
    own.n_seen.clear();
    own.layer = -1;
  }
  own.idle = false;
  own.first_position = tap.first_position;
  own.layer = std::max(own.layer, tap.layer);
  TapKey key = tap_key(tap);
  key.occurrence = own.n_seen[key]++;
  own.order.try_emplace(key, static_cast<int64_t>(own.order.size()));
  return key;
}

bool TapPairing::is_ahead(const Flow& own, const Flow& other, int n_layers) const {
  return own.first_position != other.first_position ? own.first_position > other.first_position
                                                    : own.layer > other.layer + n_layers;
}

// Room may come only while the other is not ahead: its next taps may be the partners.
bool TapPairing::lacks_room(const Flow& own, const Flow& other, int64_t more_bytes) const {
  return !is_ahead(other, own, 0) && own.pending_bytes + more_bytes > options_.max_pending_bytes;
}

// Never true for both sides at once. It is computed from what both have now: a note that the other
// waits may be old, since a side that was woken has still to get the lock.
bool TapPairing::must_wait(const Flow& own, const Flow& other, int64_t more_bytes) const {
  if (aborted_ || other.idle) return false;
  if (is_ahead(own, other, 1)) return true;
  const bool other_blocked =
      other.waits_for_bytes > 0 && lacks_room(other, own, other.waits_for_bytes);
  return lacks_room(own, other, more_bytes) && !other_blocked;
}

void TapPairing::wait_for_other(Lock& lock, Flow& own, const Flow& other, int64_t more_bytes) {
  while (must_wait(own, other, more_bytes)) {
    own.waits_for_bytes = more_bytes;
    changed_.wait(lock);
  }
  own.waits_for_bytes = 0;
  if (aborted_) throw TapPairingAborted();
}

void TapPairing::begin(Side side) {
  const Lock lock(mutex_);
  flow_of(side).idle = false;
  flow_of(side).n_seen.clear();
}

void TapPairing::done(Side side) {
  const Lock lock(mutex_);
  flow_of(side).idle = true;
  changed_.notify_all();
}

void TapPairing::abort() {
  const Lock lock(mutex_);
  aborted_ = true;
  changed_.notify_all();
}

// One layer more than necessary is kept: an engine may compute a node of the next one early.
void TapPairing::drop_passed() {
  const auto passed = [this](const Pending& pending) {
    return std::ranges::all_of(flows_, [&](const Flow& flow) {
      if (flow.first_position != pending.rows.first_position) {
        return flow.first_position > pending.rows.first_position;
      }
      return pending.key.layer >= 0 && flow.layer > pending.key.layer + 1;
    });
  };
  for (Flow& flow : flows_) {
    for (auto it = flow.pending.begin(); it != flow.pending.end();) {
      std::erase_if(it->second, [&](const Pending& pending) {
        if (!passed(pending)) return false;
        flow.pending_bytes -= pending.rows.n_bytes();
        drop(flow, pending, UnpairedTap::Reason::no_partner);
        return true;
      });
      it = it->second.empty() ? flow.pending.erase(it) : std::next(it);
    }
  }
}

void TapPairing::drop(Flow& flow, const Pending& pending, UnpairedTap::Reason reason) {
  const Side which = &flow == &flows_[0] ? Side::engine : Side::backend;
  flow.unpaired.try_emplace(
      pending.key,
      UnpairedTap{which, pending.name, pending.op, pending.occurrence, pending.key.layer, reason});
}

void TapPairing::keep(Flow& flow, Pending&& pending) {
  const int64_t bytes = pending.rows.n_bytes();
  if (flow.pending_bytes + bytes > options_.max_pending_bytes) {
    drop(flow, pending, UnpairedTap::Reason::no_room);
    return;
  }
  flow.pending_bytes += bytes;
  peak_pending_bytes_ =
      std::max(peak_pending_bytes_, flows_[0].pending_bytes + flows_[1].pending_bytes);
  std::list<Pending>& list = flow.pending[pending.key];
  const auto after = std::ranges::find_if(
      list, [&](const Pending& p) { return p.rows.first_position > pending.rows.first_position; });
  list.insert(after, std::move(pending));
}

// The other flow's rows at own's positions, ascending; what they have beside those stays pending.
std::list<TapPairing::Pending> TapPairing::take_partners(Flow& other, const Pending& own) {
  std::list<Pending> partners;
  const auto found = other.pending.find(own.key);
  if (found == other.pending.end()) return partners;
  std::list<Pending>& list = found->second;
  for (auto it = list.begin(); it != list.end();) {
    const TapRows& rows = it->rows;
    const int from = std::max(rows.first_position, own.rows.first_position);
    const int to = std::min(rows.end_position(), own.rows.end_position());
    if (from >= to) {
      ++it;
      continue;
    }
    const auto part = [&](int begin, int end) {
      Pending pending = *it;
      pending.rows = rows.slice(begin, end);
      return pending;
    };
    partners.push_back(part(from, to));
    if (rows.first_position < from) list.insert(it, part(rows.first_position, from));
    if (to < rows.end_position()) list.insert(std::next(it), part(to, rows.end_position()));
    other.pending_bytes -= partners.back().rows.n_bytes();
    it = list.erase(it);
  }
  if (list.empty()) other.pending.erase(found);
  return partners;
}

void TapPairing::compare(const Pending& engine, const Pending& backend, Lock& lock) {
  const int from = std::max(engine.rows.first_position, backend.rows.first_position);
  const int to = std::min(engine.rows.end_position(), backend.rows.end_position());
  assert(from < to);
  const bool comparable = engine.rows.row_len == backend.rows.row_len &&
                          engine.rows.by_position == backend.rows.by_position;
  std::vector<RowDistance> rows;
  if (comparable) {
    lock.unlock();
    for (int position = from; position < to; ++position) {
      rows.push_back(row_distance(position, engine.rows.row(position), backend.rows.row(position)));
    }
    lock.lock();
  }
  const auto [it, is_new] = results_.try_emplace(engine.key);
  Result& result = it->second;
  TapPair& pair = result.pair;
  if (is_new) {
    pair.name = backend.name;
    pair.engine_name = engine.name;
    pair.op = backend.op;
    pair.occurrence = backend.occurrence;
    pair.layer = backend.key.layer;
  }
  if (is_new || (pair.same_shape && !comparable)) {
    pair.engine_ne = engine.rows.ne;
    pair.backend_ne = backend.rows.ne;
  }
  pair.same_shape = pair.same_shape && comparable;
  std::vector<int>& indices = pair.backend_indices;
  if (indices.empty() || indices.back() != backend.index) indices.push_back(backend.index);
  if (comparable) {
    pair.n_elements += (to - from) * engine.rows.row_len;
    result.rows.insert(result.rows.end(), rows.begin(), rows.end());
  }
}

TapPairing::RowDistance TapPairing::row_distance(int position, std::span<const float> engine,
                                                 std::span<const float> backend) {
  const DistanceSums sums = distance_sums(engine, backend);
  RowDistance row{position, sums.dd, sums.bb, sums.max_abs, 0, 0, 0};
  if (sums.dd == 0) return row;
  const bool finite = std::isfinite(sums.dd);
  if (!finite) row.max_abs = 0;
  for (size_t i = 0; i < engine.size(); ++i) {
    const float e = engine[i], b = backend[i];
    if (e != b && !(std::isnan(e) && std::isnan(b))) ++row.n_different;
    const double size = std::fabs(double{e} - double{b});
    if (!finite && std::isfinite(size)) row.max_abs = std::max(row.max_abs, size);
  }
  if (!finite) {
    row.n_non_finite_engine = count_non_finite(engine);
    row.n_non_finite_backend = count_non_finite(backend);
  }
  return row;
}

// In order of positions, so that sums do not depend on which thread compared which row first.
void TapPairing::fold_rows(Result& result) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto ratio = [](double dd, double bb) {
    if (dd == 0) return 0.0;
    return bb == 0 ? infinity : std::sqrt(dd) / std::sqrt(bb);
  };
  std::ranges::sort(result.rows, {}, &RowDistance::position);
  TapPair& pair = result.pair;
  pair.n_positions = static_cast<int>(result.rows.size());
  double dd = 0, bb = 0, worst = 0;
  for (const RowDistance& row : result.rows) {
    dd += row.dd;
    bb += row.bb;
    pair.max_abs = std::max(pair.max_abs, row.max_abs);
    pair.n_different += row.n_different;
    pair.n_non_finite_engine += row.n_non_finite_engine;
    pair.n_non_finite_backend += row.n_non_finite_backend;
    const double own = ratio(row.dd, row.bb);
    // A row with NaN comes before every other, unless both sides have the same there.
    const double rank = std::isfinite(row.dd) ? std::min(own, 1e300)
                        : row.n_different > 0 ? infinity
                                              : 0;
    if (rank > worst) {
      worst = rank;
      pair.worst_position = row.position;
      pair.worst_row_rel_l2 = own;
    }
  }
  pair.rel_l2 = ratio(dd, bb);
}

PairedTaps TapPairing::finish() {
  const Lock lock(mutex_);
  PairedTaps found;
  for (Flow& flow : flows_) {
    for (const auto& [key, list] : flow.pending) {
      for (const Pending& pending : list) drop(flow, pending, UnpairedTap::Reason::no_partner);
    }
    flow.pending.clear();
    flow.pending_bytes = 0;
    std::vector<std::pair<int64_t, UnpairedTap>> ordered;
    for (const auto& [key, tap] : flow.unpaired) ordered.emplace_back(flow.order.at(key), tap);
    std::ranges::sort(ordered, {}, [](const auto& entry) { return entry.first; });
    for (auto& [order, tap] : ordered) found.unpaired.push_back(std::move(tap));
    flow.unpaired.clear();
  }
  std::vector<std::pair<int64_t, Result*>> ordered;
  for (auto& [key, result] : results_) ordered.emplace_back(flows_[1].order.at(key), &result);
  std::ranges::sort(ordered, {}, [](const auto& entry) { return entry.first; });
  for (const auto& [order, result] : ordered) {
    fold_rows(*result);
    found.pairs.push_back(std::move(result->pair));
  }
  results_.clear();
  found.peak_pending_bytes = peak_pending_bytes_;
  return found;
}

}  // namespace crossval
