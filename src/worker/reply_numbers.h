// Whole numbers that a worker sends. nlohmann::json makes an int of anything that is a number: of
// 4294967552 256, of 256.5 as well.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

namespace crossval {

// nullopt: no number, no whole one, or out of range.
inline std::optional<int64_t> integer_of(const nlohmann::json& value, int64_t lowest,
                                         int64_t highest) {
  if (!value.is_number_integer()) return std::nullopt;
  constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (value.is_number_unsigned() && value.get<uint64_t>() > most) return std::nullopt;
  const auto number = value.get<int64_t>();
  if (number < lowest || number > highest) return std::nullopt;
  return number;
}

}  // namespace crossval
