#include "render/json_parts.h"

namespace crossval {
namespace {

Json maybe_token(const std::optional<TokenText>& token) {
  return token ? token_json(*token) : Json(nullptr);
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Json known(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }
Json known(int value) { return value == 0 ? Json(nullptr) : Json(value); }

Json token_json(const TokenText& token) { return {{"id", token.id}, {"text", token.text}}; }

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
                {"engine", maybe_token(m.engine)},
                {"backend", maybe_token(m.backend)},
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

Json tolerance_json(const Tolerance& tolerance, bool rounds_alike) {
  return {{"gate", gate_name(tolerance.gate)},
          {"cos_tol", number(tolerance.cos_tol)},
          {"noise_ratio", noise_ratio_limit(1, rounds_alike)},
          {"near_noise_ratio", noise_ratio_limit(2 * kRatioWindow + 1, rounds_alike)}};
}

std::string write_json(const Json& object, const RenderOptions& options) {
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

}  // namespace crossval
