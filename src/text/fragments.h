// Special tokens written in a text: they are cut out before the rest is tokenised.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace crossval {

// A stretch of plain text, or (token >= 0) a special token.
struct Fragment {
  std::string_view text;
  int32_t token = -1;
};

// User-defined tokens are always cut out; control and unknown tokens only with parse_special.
// Longer tokens first, each from left to right; no fragment is empty.
std::vector<Fragment> split_special(std::string_view text, const Vocabulary& vocabulary,
                                    bool parse_special);

}  // namespace crossval
