#include "render/trace_json.h"

#include "render/json_parts.h"

namespace crossval {
namespace {

Json divergence_json(const std::optional<TraceDivergence>& found) {
  if (!found) return nullptr;
  const TapReport& tap = found->tap;
  const CauseInfo& info = cause_info(found->cause);
  return {{"tensor", tap.tensor},
          {"occurrence", tap.occurrence},
          {"op", tap.op},
          {"layer", tap.layer < 0 ? Json(nullptr) : Json(tap.layer)},
          {"weight", known(tap.weight)},
          {"side", found->in_engine ? "engine" : "backend"},
          {"position", found->position},
          {"column", found->column < 0 ? Json(nullptr) : Json(found->column)},
          {"error", maybe(tap.own_error)},
          {"floor", maybe(tap.floor)},
          {"ratio", maybe(tap.ratio)},
          {"kind", info.kind},
          {"cause", info.word},
          {"explanation", found->explanation}};
}

Json tap_json(const TapReport& tap) {
  return {{"tensor", tap.tensor},
          {"occurrence", tap.occurrence},
          {"op", tap.op},
          {"layer", tap.layer < 0 ? Json(nullptr) : Json(tap.layer)},
          {"first_position", tap.first_position},
          {"weight", known(tap.weight)},
          {"rel_l2", maybe(tap.rel_l2)},
          {"own_error", maybe(tap.own_error)},
          {"floor", maybe(tap.floor)},
          {"ratio", maybe(tap.ratio)},
          {"arithmetic", known(tap.arithmetic)},
          {"verdict", verdict_name(tap.verdict)},
          {"note", known(tap.note)}};
}

Json self_json(const std::optional<std::vector<SelfRow>>& rows) {
  if (!rows) return nullptr;
  Json out = Json::array();
  for (const SelfRow& row : *rows) {
    const bool ran = row.bit_equal.has_value();
    const auto measured = [&](double value) { return ran ? number(value) : Json(nullptr); };
    out.push_back(
        {{"setting", row.setting},
         {"changed", known(row.changed)},
         {"expected", row.must_be_equal ? "same" : "rounding"},
         {"bit_equal", maybe(row.bit_equal)},
         {"n_positions", row.n_positions},
         {"rel_l2", measured(row.rel_l2)},
         {"worst_position", row.worst_position < 0 ? Json(nullptr) : Json(row.worst_position)},
         {"min_cosine", measured(row.min_cosine)},
         {"top1_changes", ran ? Json(row.n_top1_changes) : Json(nullptr)},
         {"first_tensor", known(row.first_tensor)},
         {"occurrence", row.op.empty() ? Json(nullptr) : Json(row.occurrence)},
         {"op", known(row.op)},
         {"first_position", row.first_position < 0 ? Json(nullptr) : Json(row.first_position)},
         {"n_recomputed", row.n_recomputed},
         {"n_failed", row.n_failed},
         {"largest_ratio", maybe(row.largest_ratio)},
         {"verdict", self_verdict_name(row.verdict)},
         {"note", known(row.note)}});
  }
  return out;
}

}  // namespace

std::string trace_json(const TraceReport& report, const RenderOptions& options) {
  const Report& base = report.base;
  Json out;
  out["schema"] = "crossval/trace/1";
  out["status"] = status_name(base.status);
  out["exit_code"] = base.exit_code();
  out["model"] = model_json(base.model);
  out["prompt"] = prompt_json(base.prompt);
  out["engine"] = engine_json(base.engine, false);
  out["backend"] = engine_json(base.backend, true);
  out["tokens"] = tokens_json(base.tokens);
  out["n_taps"] = report.n_taps;
  out["n_replayed"] = report.n_replayed;
  out["n_diverged"] = report.n_diverged;
  out["lifted"] = report.lifted;
  out["structure_checked"] = report.structure_checked;
  out["first_divergence"] = divergence_json(report.first_divergence);
  out["self"] = self_json(report.self);
  out["not_replayed"] = report.not_replayed;
  out["taps"] = Json::array();
  for (const TapReport& tap : report.taps) out["taps"].push_back(tap_json(tap));
  out["summary"] = base.summary ? summary_json(base) : Json(nullptr);
  out["tolerance"] = tolerance_json(base.tolerance);
  out["timing_ms"] = timing_json(base.timing);
  out["error"] = error_json(base.error);
  return write_json(out, options);
}

}  // namespace crossval
