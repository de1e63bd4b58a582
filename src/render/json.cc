#include "render/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

template <class T>
Json maybe(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, double>) return number(*value);
  return *value;
}

// "" and 0 stand for unknown where the structs say so.
Json known(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }
Json known(int value) { return value == 0 ? Json(nullptr) : Json(value); }

Json token_json(const TokenText& token) { return {{"id", token.id}, {"text", token.text}}; }

Json token_json(const std::optional<TokenText>& token) {
  return token ? token_json(*token) : Json(nullptr);
}

Json model_json(const ModelReport& model) {
  return {{"path", known(model.path)},
          {"sha256", known(model.sha256)},
          {"architecture", known(model.architecture)},
          {"quantization", known(model.quantization)},
          {"n_vocab", maybe(model.n_vocab)},
          {"n_layers", maybe(model.n_layers)},
          {"n_params", maybe(model.n_params)}};
}

Json prompt_json(const PromptReport& prompt) {
  return {{"text", maybe(prompt.text)},
          {"template", maybe(prompt.template_name)},
          {"formatted", maybe(prompt.formatted)}};
}

// An engine that is not known yet shows every key with null.
Json engine_json(const std::optional<EngineReport>& report, bool is_backend) {
  const EngineReport engine = report.value_or(EngineReport{});
  Json out;
  out["name"] = known(engine.info.name);
  if (is_backend) out["selected_by"] = known(engine.selected_by);
  out["version"] = known(engine.info.version);
  out["library"] = known(engine.info.library);
  out["model"] = known(engine.info.model);
  out["numerics"] = known(engine.numerics);
  out["n_threads"] = known(engine.info.n_threads);
  out["settings"] = report ? Json(engine.info.settings) : Json(nullptr);
  out["log"] = report ? Json(engine.log) : Json(nullptr);
  return out;
}

Json tokens_json(const TokensReport& tokens) {
  Json mismatch = nullptr;
  if (tokens.first_mismatch) {
    const TokenMismatch& m = *tokens.first_mismatch;
    mismatch = {{"index", m.index},
                {"engine", token_json(m.engine)},
                {"backend", token_json(m.backend)},
                {"rule", m.rule},
                {"hint", m.hint}};
  }
  return {{"engine", maybe(tokens.engine)},
          {"backend", maybe(tokens.backend)},
          {"match", maybe(tokens.match)},
          {"first_mismatch", mismatch}};
}

Json position_json(const JudgedPosition& position, const MetricSet& metrics) {
  Json out = {{"index", position.compared.index},
              {"phase", phase_name(position.compared.phase)},
              {"token", token_json(position.compared.token)}};
  for (const MetricInfo& info : metric_table()) {
    info.json(has(metrics, info.metric) ? &position.compared.metrics : nullptr, out);
  }
  out["noise"] = maybe(position.compared.rounding);
  out["noise_ratio"] = maybe(position.noise_ratio);
  out["near_noise_ratio"] = maybe(position.near_noise_ratio);
  out["verdict"] = verdict_name(position.verdict);
  return out;
}

Json summary_json(const Report& report) {
  const Summary s = report.summary.value_or(Summary{});
  return {{"n_positions", s.n_positions},
          {"first_divergence", maybe(s.first_divergence)},
          {"above_noise", maybe(s.above_noise)},
          {"min_cosine", maybe(s.min_cosine)},
          {"max_abs", maybe(s.max_abs)},
          {"mean_kl", maybe(s.mean_kl)},
          {"max_kl", maybe(s.max_kl)},
          {"top1_agreement", maybe(s.top1_agreement)},
          {"n_diverged", s.n_diverged},
          {"n_noise", s.n_noise},
          {"n_ties", s.n_ties},
          {"n_non_finite", s.n_non_finite},
          {"max_noise_ratio", maybe(s.max_noise_ratio)},
          {"max_near_noise_ratio", maybe(s.max_near_noise_ratio)},
          {"median_noise", maybe(s.median_noise)},
          {"shift", maybe(s.shift)},
          {"non_finite_weight", known(report.non_finite_weight)}};
}

Json stage(const std::optional<EngineTiming>& timing, double EngineTiming::*member) {
  return timing ? number((*timing).*member) : Json(nullptr);
}

Json timing_json(const TimingReport& timing) {
  const auto& e = timing.engine;
  const auto& b = timing.backend;
  return {{"total", number(timing.total_ms)},
          {"engine",
           {{"load", stage(e, &EngineTiming::load_ms)},
            {"tokenize", stage(e, &EngineTiming::tokenize_ms)},
            {"eval", stage(e, &EngineTiming::eval_ms)}}},
          {"backend",
           {{"start", stage(b, &EngineTiming::start_ms)},
            {"load", stage(b, &EngineTiming::load_ms)},
            {"tokenize", stage(b, &EngineTiming::tokenize_ms)},
            {"eval", stage(b, &EngineTiming::eval_ms)}}},
          {"noise", maybe(timing.noise_ms)},
          {"compare", maybe(timing.compare_ms)}};
}

Json error_json(const std::optional<ErrorReport>& error) {
  if (!error) return nullptr;
  return {
      {"code", error->code}, {"what", error->what}, {"where", error->where}, {"fix", error->fix}};
}

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
  out["tolerance"] = {{"gate", gate_name(report.tolerance.gate)},
                      {"cos_tol", number(report.tolerance.cos_tol)},
                      {"noise_ratio", noise_ratio_limit(1)},
                      {"near_noise_ratio", noise_ratio_limit(2 * kRatioWindow + 1)}};
  out["timing_ms"] = timing_json(report.timing);
  out["error"] = error_json(report.error);
  return out;
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// One line for each member, and one for each element of its list of objects: long runs stay
// readable, diffable and small.
std::string write(const Json& object, const RenderOptions& options) {
  if (options.one_line) return dump(object) + "\n";
  std::string out = "{";
  const char* separator = "\n ";
  for (const auto& [key, value] : object.items()) {
    out += separator + dump(Json(key)) + ": ";
    separator = ",\n ";
    if (!value.is_array() || value.empty() || !value.front().is_object()) {
      out += dump(value);
      continue;
    }
    const char* before = "[\n  ";
    for (const Json& element : value) {
      out += before + dump(element);
      before = ",\n  ";
    }
    out += "]";
  }
  return out + "\n}\n";
}

}  // namespace

std::string per_token_json(const Report& report, const RenderOptions& options) {
  return write(per_token_object(report), options);
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
  return write(out, options);
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
  return write(out, options);
}

}  // namespace crossval
