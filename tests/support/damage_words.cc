#include "support/damage_words.h"

#include <cctype>
#include <random>
#include <vector>

#include "support/damage.h"

namespace crossval::testing {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Names and numbers whole, all else a character each.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : text) {
    if (in_word && is_word(c)) {
      words.back() += c;
    } else {
      words.emplace_back(1, c);
    }
    in_word = is_word(c);
  }
  return words;
}

}  // namespace

std::string damaged_words(const std::string& good, size_t header_bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return n == 0 ? 0 : random() % n; };
  if (below(4) == 0) return damaged_copy(good, header_bytes, seed);
  std::vector<std::string> words = words_of(good);
  if (words.empty()) return good;
  std::string& word = words[below(words.size())];
  switch (below(4)) {
    case 0:
      word.clear();
      break;
    case 1:
      word = words[below(words.size())];
      break;
    case 2:
      if (std::isdigit(static_cast<unsigned char>(word[0])) != 0) word = "999999999999";
      [[fallthrough]];
    default:
      for (uint64_t n = below(6); n > 0; --n) word += words[below(words.size())];
      break;
  }
  std::string damaged;
  for (const std::string& each : words) damaged += each;
  return damaged;
}

}  // namespace crossval::testing
