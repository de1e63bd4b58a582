#include "text/token_search.h"

#include <algorithm>

namespace crossval {
namespace {

using Tokens = std::vector<std::pair<std::string, int32_t>>;

// Those of `range`, which are equal in their first `depth` bytes, that have `byte` next. The one
// that ends there, if any, comes first in `range`.
std::ranges::subrange<Tokens::const_iterator> narrowed(
    std::ranges::subrange<Tokens::const_iterator> range, size_t depth, char byte) {
  const auto next = [depth](const auto& token) {
    return token.first.size() == depth
               ? -1
               : static_cast<int>(static_cast<unsigned char>(token.first[depth]));
  };
  return std::ranges::equal_range(range, static_cast<int>(static_cast<unsigned char>(byte)), {},
                                  next);
}

}  // namespace

TokenSearch::TokenSearch(Tokens tokens) : tokens_(std::move(tokens)) {
  // The later of two equal ones first, so that it is the one that is kept.
  std::ranges::sort(tokens_, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  });
  const auto [first, last] =
      std::ranges::unique(tokens_, [](const auto& a, const auto& b) { return a.first == b.first; });
  tokens_.erase(first, last);
}

void TokenSearch::prefixes_of(std::string_view text, std::vector<Match>& out) const {
  out.clear();
  std::ranges::subrange range(tokens_.begin(), tokens_.end());
  for (size_t depth = 0; depth < text.size(); ++depth) {
    range = narrowed(range, depth, text[depth]);
    if (range.empty()) return;
    if (range.front().first.size() == depth + 1) out.push_back({depth + 1, range.front().second});
  }
}

bool TokenSearch::any_begins_with(char byte) const {
  return !narrowed({tokens_.begin(), tokens_.end()}, 0, byte).empty();
}

}  // namespace crossval
