// From a token as the vocabulary writes it to the bytes it stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/vocabulary.h"

namespace crossval {

// GPT-2's byte alphabet undone (openai/gpt-2, encoder.py, bytes_to_unicode); a token with a
// character outside that alphabet stays as it is.
std::string decode_byte_level(std::string_view token);

// U+2581 -> " ".
std::string unescape_spaces(std::string_view token);
std::string escape_spaces(std::string_view text);

// The byte of a token "<0xNN>", -1 when it is none.
int byte_of_token(std::string_view token);
std::string token_of_byte(unsigned char byte);

// The bytes that an `rwkv` token is written for: \t, \n, \r, \xNN, and \ before any other character
// (Python's repr of bytes). nullopt where an escape is cut short or names no byte.
std::optional<std::string> unescape_bytes(std::string_view token);

// The bytes of `id`; special and user-defined tokens as written, unused ones "" (but in
// `rwkv` and `plamo2`, which have no such cases).
std::string piece_of(const Vocabulary& vocabulary, int32_t id);

}  // namespace crossval
