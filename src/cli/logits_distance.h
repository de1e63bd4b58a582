// The logits of one run, kept in a file without a name, and how far another run's are from them.
#pragma once

#include <cstdio>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace crossval {

struct LogitsDistance {
  int n_positions = 0;
  int n_different = 0;      // positions whose rows are not the same bits
  double rel_l2 = 0;        // the largest; NaN with a row that is not finite
  int worst_position = -1;  // its own
  double min_cosine = 1;
  int n_top1_changes = 0;
};

class KeptLogits {
 public:
  explicit KeptLogits(int n_vocab);  // throws bad_input where there is no room for the file

  // Rows [0, n_rows) of the engine's latest eval, whose first id has position `first`.
  void keep(Engine& engine, int first, int n_rows);
  // The same of another run, added to `distance`.
  void compare(Engine& engine, int first, int n_rows, LogitsDistance& distance);
  // After the row kept last.
  TokenId greedy_choice() const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  size_t row_bytes() const { return row_.size() * sizeof(float); }

  std::unique_ptr<std::FILE, Close> file_;
  std::vector<float> row_, kept_;
};

}  // namespace crossval
