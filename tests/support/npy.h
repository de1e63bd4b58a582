// Arrays as NumPy saves them: little-endian f32 in row-major order, which is all the tests have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crossval::testing {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
  int64_t n_rows() const { return shape.empty() ? 1 : shape[0]; }
  int64_t row_len() const { return static_cast<int64_t>(values.size()) / n_rows(); }
};

// std::runtime_error for anything else than such an array.
NpyArray read_npy(const std::string& path);

}  // namespace crossval::testing
