// Words that several findings use.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace crossval {

inline std::string plural(int64_t n, const std::string& noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

}  // namespace crossval
