// Rows of normal random numbers, and rows a little apart from others.
#pragma once

#include <random>
#include <vector>

namespace crossval::testing {

inline std::vector<float> random_row(size_t n, unsigned seed, float size = 4) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  std::vector<float> row(n);
  for (float& x : row) x = normal(random);
  return row;
}

inline std::vector<float> nudged(const std::vector<float>& row, unsigned seed, float size) {
  std::vector<float> out = random_row(row.size(), seed, size);
  for (size_t i = 0; i < row.size(); ++i) out[i] += row[i];
  return out;
}

}  // namespace crossval::testing
