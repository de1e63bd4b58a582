#include "run/token_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "base/printable.h"
#include "compare/tokens.h"
#include "run/vocab_difference.h"

namespace crossval {
namespace {

bool has_tokenizer(const Tokeniser& side) {
  return side.engine == nullptr || side.engine->can().tokenizes;
}

std::function<std::string(TokenId)> piece_of(const LoadedModel& model, Engine* engine) {
  return [&model, engine](TokenId id) {
    std::string text = engine != nullptr && engine->can().pieces ? engine->piece(id) : "";
    return text.empty() ? model.tokenizer().piece(id) : text;
  };
}

// The text that an engine's own copy of the model's template makes, where that is not ours.
std::optional<std::string> other_text(const Tokeniser& side, const PreparedPrompt& prompt) {
  if (side.engine == nullptr || !side.engine->can().renders || !prompt.by_own_template) return {};
  std::optional<std::string> own = side.engine->render(prompt.text, prompt.system);
  if (own && *own == prompt.formatted.text) own.reset();
  return own;
}

// "its chat template writes another text, from character 12 on: ..."
std::string template_hint(const Tokeniser& side, const std::string& own, const std::string& ours) {
  constexpr size_t max_shown = 40;
  const size_t at = static_cast<size_t>(
      std::mismatch(own.begin(), own.end(), ours.begin(), ours.end()).first - own.begin());
  const auto rest = [&](const std::string& text) {
    return at < text.size() ? "\"" + printable(text.substr(at, max_shown)) + "\"" : "nothing more";
  };
  return fmt::format(
      "the chat template of {} writes another text than the model file's, from byte {} on: {}, "
      "where the model file's has {}",
      side.ref.display_name(), at, rest(own), rest(ours));
}

}  // namespace

void gate_tokens(const LoadedModel& model, const ModelFile* backend_model,
                 const PreparedPrompt& prompt, const Tokeniser& engine, const Tokeniser& backend,
                 double& native_ms, Progress& progress, TokensReport& tokens) {
  std::string of_templates;
  const auto ids_of = [&](const Tokeniser& side) {
    if (side.engine == nullptr) return model.tokenize(prompt, native_ms);
    const std::optional<std::string> own = other_text(side, prompt);
    if (!own) return side.engine->tokenize(prompt.formatted.text, prompt.options);
    of_templates = template_hint(side, *own, prompt.formatted.text);
    TokenizeOptions options = prompt.options;
    if (model.starts_with_bos(*own)) options.bos = BosMode::off;
    return side.engine->tokenize(*own, options);
  };
  if (prompt.ids) {
    tokens.engine = tokens.backend = *prompt.ids;
  } else {
    progress.stage("tokenising");
    if (!has_tokenizer(engine) && !has_tokenizer(backend)) {
      bad_input("no_tokenizer", "neither engine has a tokenizer", "prompt",
                "give the prompt as ids: --tokens 1,2,3");
    }
    if (has_tokenizer(engine)) tokens.engine = ids_of(engine);
    if (has_tokenizer(backend)) tokens.backend = ids_of(backend);
    for (const auto& [side, own, other] : {std::tuple(&engine, &tokens.engine, &tokens.backend),
                                           std::tuple(&backend, &tokens.backend, &tokens.engine)}) {
      if (own->has_value()) continue;
      *own = *other;
      progress.note(fmt::format("{} has no tokenizer: it is given the other side's ids",
                                side->ref.display_name()));
    }
  }
  const VocabRules& rules = model.tokenizer().rules();
  tokens.first_mismatch = compare_tokens({*tokens.engine, piece_of(model, engine.engine)},
                                         {*tokens.backend, piece_of(model, backend.engine)},
                                         {rules.bos_id, rules.eos_id});
  tokens.match = !tokens.first_mismatch;
  if (*tokens.match) return;
  if (!of_templates.empty()) {
    tokens.first_mismatch->rule = "template";
    tokens.first_mismatch->hint = of_templates;
    return;
  }
  // What is known beyond the ids themselves.
  std::string cause =
      backend_model != nullptr ? vocab_difference(model.file(), *backend_model) : "";
  if (cause.empty()) cause = model.tokenizer().known_difference();
  if (!cause.empty()) tokens.first_mismatch->hint += "; " + cause;
}

}  // namespace crossval
