// The word that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace crossval {

// Of `candidates` the one that fewest edits make of `word`; "" when none is near.
std::string closest_word(std::string_view word, std::span<const std::string> candidates);

}  // namespace crossval
