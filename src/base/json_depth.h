// How deep JSON from outside may nest: parsers keep a stack, and copying, writing or freeing what
// they built recurses.
#pragma once

#include <string_view>

namespace crossval {

inline constexpr int kMaxJsonDepth = 64;

// Whether brackets open more than kMaxJsonDepth deep, strings left out. Of text that is no JSON
// anything, which the parser refuses anyway.
constexpr bool nests_too_deep(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace crossval
