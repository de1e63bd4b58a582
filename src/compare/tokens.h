// The token gate: where two sides' ids part first, what stands around it, and which rule of
// tokenisation explains it.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compare/comparison.h"
#include "engine/engine.h"

namespace crossval {

// How many ids before and after the first mismatch are shown.
inline constexpr int kTokenContext = 4;

struct TokenSide {
  std::span<const TokenId> ids;
  std::function<std::string(TokenId)> piece;  // the bytes an id stands for
};

struct TokenRules {
  TokenId bos_id = -1, eos_id = -1;  // -1 = none
};

struct TokenMismatch {
  int index = 0;                             // first position where the ids differ
  std::optional<TokenText> engine, backend;  // absent: that side has already ended
  std::string rule;                          // one word for machines: "bos_doubled", "cut", ...
  std::string hint;                          // one sentence for people
  int first_shown = 0;                       // index of the first of these
  std::vector<TokenText> engine_near, backend_near;
};

// nullopt when the ids are equal.
std::optional<TokenMismatch> compare_tokens(const TokenSide& engine, const TokenSide& backend,
                                            const TokenRules& rules);

// The rule behind a mismatch at `index`, from both sides' ids and pieces (token_hint.cc).
struct TokenHint {
  std::string rule, hint;
};
TokenHint explain_mismatch(const TokenSide& engine, const TokenSide& backend,
                           const TokenRules& rules, size_t index);

}  // namespace crossval
