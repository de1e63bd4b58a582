// The one reader of UTF-8: shortest form, no surrogates, at most U+10FFFF (RFC 3629).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossval {

struct DecodedChar {
  char32_t code = 0;   // of a valid character
  size_t n_bytes = 1;  // to go on by; 1 where it is not valid
  bool valid = false;
};

// The character at the front of `text`, which is not empty.
DecodedChar decode_utf8(std::string_view text);

// `text` with U+FFFD for each byte that belongs to no character.
std::string replace_invalid_utf8(std::string_view text);

// The longest beginning of `text` of at most `max_bytes` that cuts no character.
std::string_view clip_utf8(std::string_view text, size_t max_bytes);

}  // namespace crossval
