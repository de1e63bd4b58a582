#include "run/token_gate.h"

#include <fmt/format.h>

#include <functional>

#include "base/error.h"
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

}  // namespace

void gate_tokens(const LoadedModel& model, const ModelFile* backend_model,
                 const PreparedPrompt& prompt, const Tokeniser& engine, const Tokeniser& backend,
                 double& native_ms, Progress& progress, TokensReport& tokens) {
  const auto ids_of = [&](const Tokeniser& side) {
    return side.engine == nullptr ? model.tokenize(prompt, native_ms)
                                  : side.engine->tokenize(prompt.formatted.text, prompt.options);
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
  // What is known beyond the ids themselves.
  std::string cause =
      backend_model != nullptr ? vocab_difference(model.file(), *backend_model) : "";
  if (cause.empty()) cause = model.tokenizer().known_difference();
  if (!cause.empty()) tokens.first_mismatch->hint += "; " + cause;
}

}  // namespace crossval
