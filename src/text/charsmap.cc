// Layout: google/sentencepiece, src/normalizer.cc (EncodePrecompiledCharsMap, NormalizePrefix): the
// size of the double array, the array, the replacements. A unit of the array is read as in
// s-yata/darts-clone, include/darts.h (class DoubleArrayUnit).

#include "text/charsmap.h"

#include <stdexcept>

#include "text/utf8.h"

namespace crossval {
namespace {

constexpr uint32_t kValueBit = 1u << 31;  // such a unit is a value, and never the child of a byte

uint32_t read_u32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t label_of(uint32_t unit) { return unit & (kValueBit | 0xff); }
bool ends_string(uint32_t unit) { return ((unit >> 8) & 1) != 0; }

}  // namespace

std::optional<Charsmap> Charsmap::parse(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  const size_t n_bytes = read_u32(bytes, 0);
  if (n_bytes % 4 != 0 || n_bytes >= bytes.size() - 4 || bytes.back() != '\0') return std::nullopt;
  Charsmap map;
  map.units_.reserve(n_bytes / 4);
  for (size_t at = 4; at < 4 + n_bytes; at += 4) map.units_.push_back(read_u32(bytes, at));
  map.replacements_ = bytes.substr(4 + n_bytes);
  return map;
}

Charsmap::Match Charsmap::longest_match(std::string_view text) const {
  Match match;
  if (units_.empty()) return match;
  uint32_t at = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) break;
    at ^= byte;
    const uint32_t unit = units_.at(at);
    if (label_of(unit) != byte) break;
    at ^= offset_of(unit);
    if (!ends_string(unit)) continue;
    const uint32_t value = units_.at(at) & ~kValueBit;
    if (value >= replacements_.size()) throw std::out_of_range("a replacement lies outside");
    match = {i + 1, replacements_.c_str() + value};
  }
  return match;
}

std::string Charsmap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  while (!text.empty()) {
    if (const Match match = longest_match(text); match.length > 0) {
      out += match.replacement;
      text.remove_prefix(match.length);
    } else if (const size_t length = valid_character_length(text); length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
    } else {
      append_utf8(0xfffd, out);
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace crossval
