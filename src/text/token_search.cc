#include "text/token_search.h"

#include <algorithm>
#include <span>

namespace crossval {
namespace {

using Token = std::pair<std::string, int32_t>;

// The byte of a token at `depth`, -1 where it ends there.
int byte_at(const Token& token, size_t depth) {
  return depth < token.first.size() ? static_cast<unsigned char>(token.first[depth]) : -1;
}

// Those of `tokens`, which are equal in their first `depth` bytes, that have `byte` next.
std::span<const Token> narrowed(std::span<const Token> tokens, size_t depth, char byte) {
  const int wanted = static_cast<unsigned char>(byte);
  const auto first = std::partition_point(tokens.begin(), tokens.end(), [&](const Token& token) {
    return byte_at(token, depth) < wanted;
  });
  const auto last = std::partition_point(
      first, tokens.end(), [&](const Token& token) { return byte_at(token, depth) == wanted; });
  return {first, last};
}

}  // namespace

TokenSearch::TokenSearch(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  // The later of two equal ones first, so that it is the one that is kept.
  std::sort(tokens_.begin(), tokens_.end(), [](const Token& a, const Token& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  const auto same = [](const Token& a, const Token& b) { return a.first == b.first; };
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same), tokens_.end());
}

void TokenSearch::prefixes_of(std::string_view text, std::vector<Match>& out) const {
  out.clear();
  std::span<const Token> tokens = tokens_;
  for (size_t depth = 0; depth < text.size(); ++depth) {
    tokens = narrowed(tokens, depth, text[depth]);
    if (tokens.empty()) return;
    // The one that ends here, if any, is the first.
    const auto& [token, id] = tokens.front();
    if (token.size() == depth + 1) out.push_back({depth + 1, id});
  }
}

bool TokenSearch::any_begins_with(char byte) const { return !narrowed(tokens_, 0, byte).empty(); }

}  // namespace crossval
