// The table of metrics, and one row pair measured with all of them.
#include "compare/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "compare/distance.h"
#include "compare/kl.h"
#include "compare/row_pair.h"
#include "compare/topk.h"
#ifdef CROSSVAL_EXTENSION  // tests/extension: a row as a newcomer adds it
#include "extension/shared_mass.h"
#endif

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json maybe(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <auto Member>
void json_value(const char* key, const PositionMetrics* metrics, Json& out) {
  out[key] = metrics ? maybe(metrics->*Member) : Json(nullptr);
}

std::string small(const std::optional<double>& value) {
  return value ? fmt::format("{:.2e}", *value) : "-";
}

std::string cosine_cell(const PositionMetrics& m) {
  if (!m.cosine) return "-";
  // Rounding must not show a cosine below the tolerance as if it had reached it.
  return fmt::format("{:.7f}", std::floor(*m.cosine * 1e7) / 1e7);
}

std::string top1_cell(const PositionMetrics& m) {
  if (!m.top1.match) return "-";
  return *m.top1.match ? "same" : *m.top1.tie ? "tie" : "flip";
}

void top1_json(const PositionMetrics* m, Json& out) {
  const Top1 top1 = m ? m->top1 : Top1{};
  out["top1"] = {{"engine", maybe(top1.engine)},
                 {"backend", maybe(top1.backend)},
                 {"match", maybe(top1.match)},
                 {"tie", maybe(top1.tie)}};
}

std::string difference_cell(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}

void top_rms_json(const PositionMetrics* m, Json& out) {
  json_value<&PositionMetrics::top_rms>("top_rms", m, out);
  json_value<&PositionMetrics::top_distance>("top_distance", m, out);
  json_value<&PositionMetrics::n_common>("n_common", m, out);
}

void non_finite_json(const PositionMetrics* m, Json& out) {
  out["non_finite"] = {{"engine", m ? Json(m->non_finite_engine) : Json(nullptr)},
                       {"backend", m ? Json(m->non_finite_backend) : Json(nullptr)}};
}

using P = PositionMetrics;
constexpr MetricInfo kTable[] = {
    {"cosine", "cosine", 10, "", "cosine of the two rows; what --cos-tol bounds", nullptr,
     cosine_cell, [](const P* m, Json& out) { json_value<&P::cosine>("cosine", m, out); }},
    {"l2", "l2", 9, "", "Euclidean distance of the rows", nullptr,
     [](const P& m) { return small(m.l2); },
     [](const P* m, Json& out) { json_value<&P::l2>("l2", m, out); }},
    {"rel_l2", "rel_l2", 9, "",
     "distance over the norm of the backend's row; what noise is measured in", nullptr,
     [](const P& m) { return small(m.rel_l2); },
     [](const P* m, Json& out) { json_value<&P::rel_l2>("rel_l2", m, out); }},
    {"mse", "mse", 9, "", "mean squared difference", nullptr,
     [](const P& m) { return small(m.mse); },
     [](const P* m, Json& out) { json_value<&P::mse>("mse", m, out); }},
    {"max_abs", "max_abs", 9, "", "largest difference of one logit, and its token", nullptr,
     [](const P& m) { return small(m.max_abs); },
     [](const P* m, Json& out) {
       json_value<&P::max_abs>("max_abs", m, out);
       json_value<&P::max_abs_token>("max_abs_token", m, out);
     }},
    {"kl", "kl", 9, "nats", "KL(backend || engine) of the next-token probabilities", nullptr,
     [](const P& m) { return small(m.kl); },
     [](const P* m, Json& out) { json_value<&P::kl>("kl", m, out); }},
    {"kl_bounds", "kl from-to", 15, "nats",
     "KL(backend || engine) from partial rows: it lies between the two", nullptr,
     [](const P& m) { return small(m.kl_low) + "-" + small(m.kl_high); },
     [](const P* m, Json& out) {
       json_value<&P::kl_low>("kl_low", m, out);
       json_value<&P::kl_high>("kl_high", m, out);
     },
     NeededRows::top},
    {"top_rms", "top rms", 8, "nats",
     "differences of log-probabilities of the tokens that both sides gave: root mean square",
     nullptr, [](const P& m) { return difference_cell(m.top_rms); }, top_rms_json, NeededRows::top},
    {"top_max", "top max", 8, "nats", "the largest of those differences, and its token", nullptr,
     [](const P& m) { return difference_cell(m.top_max); },
     [](const P* m, Json& out) {
       json_value<&P::top_max>("top_max", m, out);
       json_value<&P::top_max_token>("top_max_token", m, out);
     },
     NeededRows::top},
    {"rank", "rank", 5, "", "place of the backend's most likely token in the engine's row", nullptr,
     [](const P& m) { return m.rank ? std::to_string(*m.rank) : "-"; },
     [](const P* m, Json& out) { json_value<&P::rank>("rank", m, out); }, NeededRows::top},
    {"top1", "top1", 5, "", "most likely token: same, tie (a flip within the distance), flip",
     nullptr, top1_cell, top1_json, NeededRows::any},
    {"topk_overlap", "top10", 5, "", "share of the ten most likely in common", nullptr,
     [](const P& m) { return m.topk_overlap ? fmt::format("{:.1f}", *m.topk_overlap) : "-"; },
     [](const P* m, Json& out) { json_value<&P::topk_overlap>("topk_overlap", m, out); },
     NeededRows::any},
    {"non_finite", "nan/inf", 7, "logits", "NaN and Inf on each side", nullptr,
     [](const P& m) { return fmt::format("{}/{}", m.non_finite_engine, m.non_finite_backend); },
     non_finite_json, NeededRows::any},
#ifdef CROSSVAL_EXTENSION
#include "extension/metric_rows.h"
#endif
};
static_assert(std::size(kTable) <= MetricSet().size());

size_t place_of(const MetricInfo& row) { return static_cast<size_t>(&row - kTable); }

const MetricInfo* find_metric(std::string_view name) {
  const auto* row = std::find_if(std::begin(kTable), std::end(kTable),
                                 [&](const MetricInfo& info) { return info.name == name; });
  return row == std::end(kTable) ? nullptr : row;
}

void fill_distance(const DistanceSums& sums, std::span<const float> engine,
                   std::span<const float> backend, PositionMetrics& m) {
  m.l2 = std::sqrt(sums.dd);
  m.mse = sums.dd / static_cast<double>(engine.size());
  m.max_abs = sums.max_abs;
  const int64_t at = sums.dd == 0 ? -1 : find_max_abs(engine, backend, sums.max_abs);
  if (at >= 0) m.max_abs_token = static_cast<TokenId>(at);
  if (sums.dd == 0) {
    m.rel_l2 = 0;
    if (sums.bb > 0) m.cosine = 1;
    return;
  }
  if (sums.bb > 0) m.rel_l2 = *m.l2 / std::sqrt(sums.bb);
  if (sums.bb > 0 && sums.ee > 0) {
    m.cosine = std::clamp(sums.dot / (std::sqrt(sums.ee) * std::sqrt(sums.bb)), -1.0, 1.0);
  }
}

void fill_top1(const DistanceSums& sums, std::span<const float> engine,
               std::span<const float> backend, Top1& top1) {
  if (!top1.engine || !top1.backend) return;
  const TokenId e = *top1.engine, b = *top1.backend;
  top1.match = e == b;
  top1.tie = false;
  if (e == b || !std::isfinite(sums.dd)) return;
  const auto n = static_cast<double>(engine.size());
  const double mean = sums.d / n;
  const double spread = std::sqrt(std::max(0.0, sums.dd / n - mean * mean));
  const double gaps =
      (static_cast<double>(engine[e]) - engine[b]) + (static_cast<double>(backend[b]) - backend[e]);
  top1.tie = gaps <= kTieSpread * spread;
}

bool wants_top(const MetricSet& metrics) {
  return has(metrics, "kl") || has(metrics, "top1") || has(metrics, "topk_overlap");
}

// Of rows that are finite throughout.
PositionMetrics measure(RowPair& rows, const MetricSet& metrics) {
  PositionMetrics m;
  const std::span<const float> engine = rows.engine(), backend = rows.backend();
  const DistanceSums& sums = rows.sums();
  fill_distance(sums, engine, backend, m);
  for (const MetricInfo& row : kTable) {
    if (row.value != nullptr && has(metrics, row)) m.values[place_of(row)] = row.value(rows);
  }
  if (!wants_top(metrics)) return m;
  m.top1.engine = rows.top_engine().front().token;
  m.top1.backend = rows.top_backend().front().token;
  fill_top1(sums, engine, backend, m.top1);
  m.topk_overlap = overlap(rows.top_engine(), rows.top_backend());
  if (has(metrics, "kl")) {
    m.kl = sums.dd == 0 ? 0
                        : kl_divergence(engine, backend, rows.top_engine().front().logit,
                                        rows.top_backend().front().logit);
  }
  return m;
}

// The logits that are finite on both sides, closed up, and which tokens they are of.
struct FinitePart {
  FinitePart(std::span<const float> all_engine, std::span<const float> all_backend) {
    for (size_t i = 0; i < all_engine.size(); ++i) {
      if (!std::isfinite(all_engine[i]) || !std::isfinite(all_backend[i])) continue;
      engine.push_back(all_engine[i]);
      backend.push_back(all_backend[i]);
      tokens.push_back(static_cast<TokenId>(i));
    }
  }
  std::vector<float> engine, backend;
  std::vector<TokenId> tokens;
};

}  // namespace

std::span<const MetricInfo> metric_table() { return kTable; }

MetricSet all_metrics() {
  MetricSet set;
  for (size_t i = 0; i < std::size(kTable); ++i) set.set(i);
  return set;
}

bool has(const MetricSet& set, const MetricInfo& row) { return set[place_of(row)]; }

bool has(const MetricSet& set, std::string_view name) {
  const MetricInfo* row = find_metric(name);
  return row != nullptr && has(set, *row);
}

MetricSet parse_metrics(const std::string& list) {
  MetricSet set;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(',', start), list.size());
    const std::string name = list.substr(start, end - start);
    start = end + 1;
    if (name == "all") {
      set |= all_metrics();
      continue;
    }
    const MetricInfo* row = find_metric(name);
    if (row == nullptr) {
      std::string known = "all";
      for (const MetricInfo& info : kTable) known += std::string(", ") + info.name;
      bad_input("unknown_metric", fmt::format("'{}' is not a metric", name), "--metrics",
                "choose from: " + known);
    }
    set.set(place_of(*row));
  }
  return set;
}

MetricSet metrics_for(const MetricSet& asked, bool are_partial) {
  MetricSet fit;
  std::string known;
  for (const MetricInfo& row : kTable) {
    const NeededRows other = are_partial ? NeededRows::whole : NeededRows::top;
    if (row.needs == other) continue;
    fit.set(place_of(row), has(asked, row));
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  if (fit.none()) {
    bad_input("metrics_do_not_fit",
              are_partial ? "one side gives log-probabilities of its likeliest tokens alone, and "
                            "the metrics that were asked for need whole rows"
                          : "the metrics that were asked for are of partial rows, and both sides "
                            "give whole ones",
              "--metrics", "choose from: " + known);
  }
  return fit;
}

PositionMetrics compare_rows(std::span<const float> engine, std::span<const float> backend,
                             const MetricSet& metrics) {
  if (engine.size() != backend.size() || engine.empty()) {
    bad_input(
        "row_length_mismatch",
        fmt::format("rows of {} and {} logits cannot be compared", engine.size(), backend.size()),
        "logits of the engine and of the backend",
        "give both sides the same model, or files with the same vocabulary");
  }
  RowPair rows(engine, backend);
  if (rows.finite()) return measure(rows, metrics);
  // A NaN or an Inf says nothing of the other logits: those that both sides have are compared.
  const FinitePart part(engine, backend);
  PositionMetrics m;
  if (!part.tokens.empty()) {
    RowPair rest(part.engine, part.backend);
    m = measure(rest, metrics);
    if (m.max_abs_token) m.max_abs_token = part.tokens[static_cast<size_t>(*m.max_abs_token)];
  }
  // What a side with a NaN would choose is undefined.
  m.top1 = {};
  if (wants_top(metrics)) {
    if (std::isfinite(rows.sums().ee)) m.top1.engine = rows.top_engine().front().token;
    if (std::isfinite(rows.sums().bb)) m.top1.backend = rows.top_backend().front().token;
  }
  m.non_finite_engine = count_non_finite(engine);
  m.non_finite_backend = count_non_finite(backend);
  return m;
}

std::string metric_cell(const MetricInfo& row, const PositionMetrics& metrics) {
  if (row.cell != nullptr) return row.cell(metrics);
  const auto found = metrics.values.find(place_of(row));
  return found != metrics.values.end() && found->second ? fmt::format("{:.4g}", *found->second)
                                                        : "-";
}

void metric_json(const MetricInfo& row, const PositionMetrics* metrics, Json& out) {
  if (row.json != nullptr) {
    row.json(metrics, out);
    return;
  }
  out[row.name] = nullptr;
  if (metrics == nullptr) return;
  const auto found = metrics->values.find(place_of(row));
  if (found != metrics->values.end() && found->second && std::isfinite(*found->second)) {
    out[row.name] = *found->second;
  }
}

}  // namespace crossval
