// The order and the treatment of whitespace follow llama.cpp (src/llama-vocab.cpp,
// tokenizer_st_partition): one pass over all fragments per special token.

#include "text/fragments.h"

namespace crossval {
namespace {

// isspace of the C locale.
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void cut(std::string_view text, const std::string& token, int32_t id, uint32_t attrs,
         std::vector<Fragment>& out) {
  while (!text.empty()) {
    const size_t at = text.find(token);
    if (at == std::string_view::npos) break;
    std::string_view left = text.substr(0, at);
    text.remove_prefix(at + token.size());
    if (attrs & kTokenLeftStrip) {
      while (!left.empty() && is_space(left.back())) left.remove_suffix(1);
    }
    if (attrs & kTokenRightStrip) {
      while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    }
    if (!left.empty()) out.push_back({left, -1});
    out.push_back({{}, id});
  }
  if (!text.empty()) out.push_back({text, -1});
}

}  // namespace

std::vector<Fragment> split_special(std::string_view text, const Vocabulary& vocabulary,
                                    bool parse_special) {
  std::vector<Fragment> fragments;
  if (text.empty()) return fragments;
  fragments.push_back({text, -1});
  std::vector<Fragment> next;
  for (const int32_t id : vocabulary.special) {
    const auto index = static_cast<size_t>(id);
    const uint32_t attrs = vocabulary.attrs[index];
    if (!parse_special && (attrs & (kTokenControl | kTokenUnknown))) continue;
    const std::string& token = vocabulary.tokens[index];
    if (text.find(token) == std::string_view::npos) continue;
    next.clear();
    for (const Fragment& fragment : fragments) {
      if (fragment.token >= 0) {
        next.push_back(fragment);
      } else {
        cut(fragment.text, token, id, attrs, next);
      }
    }
    fragments.swap(next);
  }
  return fragments;
}

}  // namespace crossval
