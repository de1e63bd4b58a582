// Over the common tokens C, with log-probabilities e and b of the two sides:
//   rms        = sqrt(mean over C of (e - b)^2)
//   distance   = rms / (rms of the logits of the whole row), in which noise is measured too. It is
//                to a part of the row what the relative distance is to all of it; where no row is
//                whole, the spread of the common log-probabilities takes the place of the row.
//   KL(b || e) = sum over C + what the rest R adds. By the log sum inequality that is at least
//                P log(P/Q), P and Q being the masses of R; and at most P (log(last) - min log e),
//                because no token of R is more likely to the backend than the last of its top, and
//                none less to the engine than its least: known where the engine's row is whole.
#include "compare/top_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "compare/distance.h"
#include "compare/topk.h"

namespace crossval {
namespace {

constexpr double kMassRounding = 1e-6;  // of a sum of probabilities that were told in f32

double log_sum_of(std::span<const float> row) {
  double largest = -std::numeric_limits<double>::infinity();
  for (const float logit : row) largest = std::max(largest, double{logit});
  double sum = 0;
  for (const float logit : row) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

double rms_of(std::span<const float> row) {
  double sum = 0;
  for (const float logit : row) sum += double{logit} * logit;
  return std::sqrt(sum / static_cast<double>(row.size()));
}

struct Common {
  TokenId token = 0;
  double engine = 0, backend = 0;  // log-probabilities
};

class TopPair {
 public:
  explicit TopPair(const SidesOfTops& sides) : sides_(sides) {
    // The side with fewer tokens leads: what it does not name is not common.
    const bool by_backend =
        sides.engine.top == nullptr ||
        (sides.backend.top != nullptr && sides.backend.top->size() <= sides.engine.top->size());
    const TopRow& lead = by_backend ? *sides.backend.top : *sides.engine.top;
    const auto look_up = finder(by_backend ? sides.engine : sides.backend);
    for (const TopEntry& entry : lead) {
      const std::optional<double> other = look_up(entry.token);
      if (!other) continue;
      common_.push_back(by_backend ? Common{entry.token, *other, entry.logit}
                                   : Common{entry.token, entry.logit, *other});
    }
  }

  const std::vector<Common>& common() const { return common_; }

  // What distances are measured against; 0 = nothing.
  double scale() const {
    for (const auto& whole : {sides_.engine.whole, sides_.backend.whole, sides_.base}) {
      if (!whole.empty()) return rms_of(whole);
    }
    const auto n = static_cast<double>(common_.size());
    double sum = 0, squares = 0;
    for (const Common& one : common_) {
      sum += one.backend;
      squares += one.backend * one.backend;
    }
    return std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
  }

 private:
  using Finder = std::function<std::optional<double>(TokenId)>;
  static Finder finder(const KnownRow& row) {
    if (row.top != nullptr) {
      std::unordered_map<TokenId, double> known;
      for (const TopEntry& entry : *row.top) known.emplace(entry.token, entry.logit);
      return [known = std::move(known)](TokenId token) {
        const auto found = known.find(token);
        return found == known.end() ? std::nullopt : std::optional(found->second);
      };
    }
    return [whole = row.whole, log_sum = log_sum_of(row.whole)](TokenId token) {
      if (static_cast<size_t>(token) >= whole.size()) {
        backend_failed(
            "other_vocabulary",
            fmt::format("one side names token {}, and the other has {}", token, whole.size()),
            "log-probabilities", "let both sides run the same model");
      }
      return std::optional(double{whole[static_cast<size_t>(token)]} - log_sum);
    };
  }

  const SidesOfTops& sides_;
  std::vector<Common> common_;
};

bool is_finite(std::span<const float> row) { return count_non_finite(row) == 0; }

TokenId first_of(const KnownRow& row) {
  return row.top != nullptr ? row.top->front().token : top_k(row.whole, 1).front().token;
}

void fill_differences(const TopPair& pair, PositionMetrics& m) {
  double squares = 0, most = -1;
  for (const Common& one : pair.common()) {
    const double difference = one.engine - one.backend;
    squares += difference * difference;
    if (std::fabs(difference) <= most) continue;
    most = std::fabs(difference);
    m.top_max_token = one.token;
  }
  m.top_rms = std::sqrt(squares / static_cast<double>(m.n_common.value_or(0)));
  m.top_max = most;
  if (most == 0) m.top_max_token.reset();
  const double scale = pair.scale();
  if (*m.top_rms == 0 || scale > 0) m.top_distance = *m.top_rms == 0 ? 0 : *m.top_rms / scale;
}

// As Top1 says, over the common tokens; a flip to a token that is not common is no tie.
void fill_top1(const TopPair& pair, const SidesOfTops& sides, PositionMetrics& m) {
  m.top1 = {.engine = first_of(sides.engine),
            .backend = first_of(sides.backend),
            .match = first_of(sides.engine) == first_of(sides.backend),
            .tie = false};
  if (*m.top1.match) return;
  const Common *ours = nullptr, *theirs = nullptr;
  double sum = 0, squares = 0;
  for (const Common& one : pair.common()) {
    if (one.token == *m.top1.engine) ours = &one;
    if (one.token == *m.top1.backend) theirs = &one;
    const double difference = one.engine - one.backend;
    sum += difference;
    squares += difference * difference;
  }
  if (ours == nullptr || theirs == nullptr) return;
  const auto n = static_cast<double>(pair.common().size());
  const double spread = std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
  const double gaps = (ours->engine - theirs->engine) + (theirs->backend - ours->backend);
  m.top1.tie = gaps <= kTieSpread * spread;
}

void fill_kl(const TopPair& pair, const SidesOfTops& sides, PositionMetrics& m) {
  double known = 0, backend_rest = 1, engine_rest = 1;
  for (const Common& one : pair.common()) {
    known += std::exp(one.backend) * (one.backend - one.engine);
    backend_rest -= std::exp(one.backend);
    engine_rest -= std::exp(one.engine);
  }
  const double p = std::max(backend_rest, 0.0), q = std::max(engine_rest, 0.0) + kMassRounding;
  m.kl_low = std::max(0.0, known + (p > 0 ? p * std::log(p / q) : 0));
  if (sides.engine.whole.empty() || sides.backend.top == nullptr) return;
  const double least =
      double{*std::ranges::min_element(sides.engine.whole)} - log_sum_of(sides.engine.whole);
  const double most = std::max(0.0, double{sides.backend.top->back().logit} - least);
  m.kl_high = std::max(*m.kl_low, known + (p + kMassRounding) * most);
}

void fill_overlap(const SidesOfTops& sides, PositionMetrics& m) {
  size_t k = kTopK;
  for (const KnownRow* row : {&sides.engine, &sides.backend}) {
    if (row->top != nullptr) k = std::min(k, row->top->size());
  }
  const auto best = [&](const KnownRow& row) {
    if (row.top == nullptr) return top_k(row.whole, static_cast<int>(k));
    return TopRow(row.top->begin(), row.top->begin() + static_cast<std::ptrdiff_t>(k));
  };
  m.topk_overlap = overlap(best(sides.engine), best(sides.backend));
}

// Place of the backend's choice in the engine's row, from 1 on.
void fill_rank(const SidesOfTops& sides, PositionMetrics& m) {
  const TokenId chosen = first_of(sides.backend);
  if (sides.engine.top != nullptr) {
    const auto found = std::ranges::find(*sides.engine.top, chosen, &TopEntry::token);
    if (found != sides.engine.top->end()) m.rank = 1 + (found - sides.engine.top->begin());
    return;
  }
  const std::span<const float> row = sides.engine.whole;
  const float logit = row[static_cast<size_t>(chosen)];
  m.rank = 1 + std::ranges::count_if(row, [&](float other) { return other > logit; });
}

}  // namespace

PositionMetrics compare_tops(const SidesOfTops& sides, const MetricSet& metrics) {
  PositionMetrics m;
  m.is_partial = true;
  m.non_finite_engine = count_non_finite(sides.engine.whole);
  m.non_finite_backend = count_non_finite(sides.backend.whole);
  if (!m.finite()) return m;
  const TopPair pair(sides);
  m.n_common = static_cast<int64_t>(pair.common().size());
  if (*m.n_common > 0) fill_differences(pair, m);
  if (has(metrics, "top1")) fill_top1(pair, sides, m);
  if (has(metrics, "topk_overlap")) fill_overlap(sides, m);
  if (has(metrics, "rank")) fill_rank(sides, m);
  if (has(metrics, "kl_bounds") && *m.n_common > 0) fill_kl(pair, sides, m);
  return m;
}

std::optional<double> top_rounding(const SidesOfTops& sides, std::span<const float> base,
                                   std::span<const float> noise) {
  if (!is_finite(sides.engine.whole) || !is_finite(sides.backend.whole) || !is_finite(base) ||
      !is_finite(noise)) {
    return std::nullopt;
  }
  const TopPair pair(sides);
  const double scale = pair.scale();
  if (pair.common().empty() || !(scale > 0)) return std::nullopt;
  const double of_base = log_sum_of(base), of_noise = log_sum_of(noise);
  double squares = 0;
  for (const Common& one : pair.common()) {
    const auto token = static_cast<size_t>(one.token);
    if (token >= base.size() || token >= noise.size()) return std::nullopt;
    const double difference = (base[token] - of_base) - (noise[token] - of_noise);
    squares += difference * difference;
  }
  return std::sqrt(squares / static_cast<double>(pair.common().size())) / scale;
}

}  // namespace crossval
