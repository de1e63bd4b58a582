// UTF-8 as the tokenizers need it: what is valid, and llama.cpp's reading of what is not.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace crossval {

// Length of the valid character that `text` begins with (1-4), 0 when it begins with none.
size_t valid_character_length(std::string_view text);

bool is_valid_utf8(std::string_view text);

// Length that the lead byte announces, 1 for a continuation byte (llama.cpp unicode_len_utf8).
size_t announced_length(char lead);

// `text` as llama.cpp's byte-level tokenizers read it (src/unicode.cpp, unicode_cpts_from_utf8):
// each byte that starts no character becomes U+FFFD. nullopt when it then holds a code point which
// is not a character (a surrogate, or beyond U+10FFFF): no published tokenizer can read that.
std::optional<std::string> repair_utf8(std::string_view text);

void append_utf8(char32_t c, std::string& out);

}  // namespace crossval
