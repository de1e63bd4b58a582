// The normalisation of a SentencePiece model (its "precompiled charsmap"): strings, and what each
// is replaced by. The bytes come from a file, so every index in them is checked when it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossval {

class Charsmap {
 public:
  Charsmap() = default;  // replaces nothing
  // nullopt where the sizes in `bytes` contradict each other.
  static std::optional<Charsmap> parse(std::string_view bytes);

  // At each place the longest string that has a replacement is replaced; a byte that belongs to no
  // character becomes U+FFFD. Throws std::out_of_range where the map points outside itself.
  std::string apply(std::string_view text) const;

 private:
  struct Match {
    size_t length = 0;  // 0: no string of the map begins here
    std::string_view replacement;
  };
  Match longest_match(std::string_view text) const;

  std::vector<uint32_t> units_;  // a double array (darts-clone)
  std::string replacements_;     // each ends with a NUL
};

}  // namespace crossval
