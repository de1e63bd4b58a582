#include "text/utf8.h"

#include <algorithm>

#include "base/utf8.h"

namespace crossval {
namespace {

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

bool is_continuation(std::string_view text, size_t i) {
  return i < text.size() && (byte_at(text, i) & 0xc0) == 0x80;
}

struct Decoded {
  char32_t c;
  size_t length;  // 0: not a character
};

// Only the bit patterns are checked, so that overlong forms and surrogates pass (as in llama.cpp).
Decoded decode(std::string_view text) {
  const uint8_t lead = byte_at(text, 0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xf8   ? 0
                        : lead >= 0xf0 ? 4
                        : lead >= 0xe0 ? 3
                        : lead >= 0xc0 ? 2
                                       : 0;
  char32_t c = length == 4 ? lead & 0x07u : length == 3 ? lead & 0x0fu : lead & 0x1fu;
  for (size_t i = 1; i < length; ++i) {
    if (!is_continuation(text, i)) return {0, 0};
    c = (c << 6) | (byte_at(text, i) & 0x3fu);
  }
  return {c, length};
}

bool is_surrogate(char32_t c) { return c >= 0xd800 && c <= 0xdfff; }

}  // namespace

size_t valid_character_length(std::string_view text) {
  if (text.empty()) return 0;
  const DecodedChar c = decode_utf8(text);
  return c.valid ? c.n_bytes : 0;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = valid_character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

size_t announced_length(char lead) {
  const uint8_t high = static_cast<uint8_t>(lead) >> 4;
  return high < 12 ? 1 : high < 14 ? 2 : high == 14 ? 3 : 4;
}

std::optional<std::string> repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Decoded d = decode(text);
    if (d.length == 0) d = {0xfffd, 1};
    if (is_surrogate(d.c) || d.c > 0x10ffff) return std::nullopt;
    append_utf8(d.c, out);
    text.remove_prefix(d.length);
  }
  return out;
}

void append_utf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6));
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3f));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

}  // namespace crossval
