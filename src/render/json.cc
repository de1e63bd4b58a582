#include "render/json.h"

#include "render/json_parts.h"

namespace crossval {
namespace {

Json per_token_object(const Report& report) {
  Json positions = Json::array();
  for (const JudgedPosition& position : report.positions) {
    positions.push_back(position_json(position, report.metrics));
  }
  Json out;
  out["schema"] = "crossval/per-token/1";
  out["status"] = status_name(report.status);
  out["exit_code"] = report.exit_code();
  out["model"] = model_json(report.model);
  out["prompt"] = prompt_json(report.prompt);
  out["engine"] = engine_json(report.engine, false);
  out["backend"] = engine_json(report.backend, true);
  out["tokens"] = tokens_json(report.tokens);
  out["positions"] = std::move(positions);
  out["summary"] = summary_json(report);
  out["tolerance"] =
      tolerance_json(report.tolerance, report.summary && report.summary->rounds_alike);
  out["timing_ms"] = timing_json(report.timing);
  out["error"] = error_json(report.error);
  return out;
}

}  // namespace

std::string per_token_json(const Report& report, const RenderOptions& options) {
  return write_json(per_token_object(report), options);
}

std::string parity_json(const ParityReport& report, const RenderOptions& options) {
  Json out;
  out["schema"] = "crossval/parity/1";
  out["status"] = status_name(report.status());
  out["exit_code"] = static_cast<int>(report.status());
  out["participants"] = report.participants;
  out["pairs"] = Json::array();
  for (const Report& pair : report.pairs) out["pairs"].push_back(per_token_object(pair));
  out["vote"] = nullptr;
  if (report.vote) {
    out["vote"] = {{"outlier", known(report.vote->outlier)},
                   {"agreeing", report.vote->agreeing},
                   {"reason", report.vote->reason}};
  }
  return write_json(out, options);
}

std::string run_json(const RunReport& report, const RenderOptions& options) {
  const auto& t = report.timing;
  Json out;
  out["schema"] = "crossval/run/1";
  out["status"] = report.status == Status::agree ? "ok" : status_name(report.status);
  out["exit_code"] = report.exit_code();
  out["model"] = model_json(report.model);
  out["prompt"] = prompt_json(report.prompt);
  out["engine"] = engine_json(report.engine, false);
  out["tokens"] = maybe(report.tokens);
  out["positions"] = Json::array();
  for (const RunPosition& position : report.positions) {
    Json top = Json::array();
    for (const RunPosition::Candidate& candidate : position.top) {
      top.push_back({{"id", candidate.token.id},
                     {"text", candidate.token.text},
                     {"logit", number(candidate.logit)}});
    }
    out["positions"].push_back({{"index", position.index},
                                {"phase", phase_name(position.phase)},
                                {"token", token_json(position.token)},
                                {"top", std::move(top)}});
  }
  out["timing_ms"] = {{"total", number(report.total_ms)},
                      {"load", stage(t, &EngineTiming::load_ms)},
                      {"tokenize", stage(t, &EngineTiming::tokenize_ms)},
                      {"prompt_eval", stage(t, &EngineTiming::prompt_eval_ms)},
                      {"decode", stage(t, &EngineTiming::decode_ms)}};
  out["tokens_per_second"] = {{"prompt", maybe(report.prompt_tokens_per_second)},
                              {"decode", maybe(report.decode_tokens_per_second)}};
  out["peak_rss_bytes"] = maybe(report.peak_rss_bytes);
  out["error"] = error_json(report.error);
  return write_json(out, options);
}

}  // namespace crossval
