#include "compare/tokens.h"

#include <algorithm>

namespace crossval {
namespace {

std::vector<TokenText> near(const TokenSide& side, size_t first, size_t end) {
  std::vector<TokenText> out;
  for (size_t i = first; i < std::min(end, side.ids.size()); ++i) {
    out.push_back({side.ids[i], side.piece(side.ids[i])});
  }
  return out;
}

std::optional<TokenText> at(const TokenSide& side, size_t index) {
  if (index >= side.ids.size()) return std::nullopt;
  return TokenText{side.ids[index], side.piece(side.ids[index])};
}

}  // namespace

std::optional<TokenMismatch> compare_tokens(const TokenSide& engine, const TokenSide& backend,
                                            const TokenRules& rules) {
  const auto [e, b] =
      std::mismatch(engine.ids.begin(), engine.ids.end(), backend.ids.begin(), backend.ids.end());
  if (e == engine.ids.end() && b == backend.ids.end()) return std::nullopt;
  const auto index = static_cast<size_t>(e - engine.ids.begin());
  const size_t first = index - std::min<size_t>(index, kTokenContext);
  TokenMismatch mismatch;
  mismatch.index = static_cast<int>(index);
  mismatch.engine = at(engine, index);
  mismatch.backend = at(backend, index);
  mismatch.first_shown = static_cast<int>(first);
  mismatch.engine_near = near(engine, first, index + kTokenContext + 1);
  mismatch.backend_near = near(backend, first, index + kTokenContext + 1);
  TokenHint found = explain_mismatch(engine, backend, rules, index);
  mismatch.rule = std::move(found.rule);
  mismatch.hint = std::move(found.hint);
  return mismatch;
}

}  // namespace crossval
