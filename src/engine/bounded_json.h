// JSON of strangers that nobody misses where it is none.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/json_depth.h"

namespace crossval {

// Discarded (is_discarded(), and no object, array or value) where the text is no JSON or nests too
// deep.
inline nlohmann::json parse_bounded(std::string_view text) {
  if (nests_too_deep(text)) return nlohmann::json::value_t::discarded;
  return nlohmann::json::parse(text, nullptr, false);
}

}  // namespace crossval
