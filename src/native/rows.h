// A batch of rows, row-major [n_tokens, width].
#pragma once

#include <cstdint>
#include <vector>

namespace crossval {

struct Rows {
  int width = 0;
  std::vector<float> data;
  float* row(int64_t token) { return data.data() + token * width; }
  const float* row(int64_t token) const { return data.data() + token * width; }
};

}  // namespace crossval
