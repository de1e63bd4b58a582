// Sum over tokens of the smaller of both probabilities: 1 = the same distribution.
#pragma once

#include <cmath>
#include <optional>

#include "compare/row_pair.h"

namespace crossval {

inline std::optional<double> shared_mass(RowPair& rows) {
  if (!rows.finite()) return std::nullopt;
  const double e = rows.log_sum_engine(), b = rows.log_sum_backend();
  double sum = 0;
  for (size_t i = 0; i < rows.engine().size(); ++i) {
    sum += std::exp(std::min(rows.engine()[i] - e, rows.backend()[i] - b));
  }
  return sum;
}

}  // namespace crossval
