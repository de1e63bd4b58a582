// The logits of one run, kept in a file without a name, and how far another run's are from them.
#pragma once

#include <cstdio>
#include <memory>
#include <span>
#include <vector>

namespace crossval {

struct LogitsDistance {
  int n_positions = 0;
  int n_different = 0;      // positions whose rows are not the same bits
  double rel_l2 = 0;        // the largest; NaN with a row that is not finite
  int worst_position = -1;  // its own
  double min_cosine = 1;
  int n_top1_changes = 0;
  int n_non_finite = 0;  // positions that hold NaN or Inf where the kept row has none
};

class KeptLogits {
 public:
  explicit KeptLogits(int n_vocab);  // throws bad_input where there is no room for the file

  void keep(int position, std::span<const float> row);
  // The same position of another run, added to `distance`.
  void compare(int position, std::span<const float> row, LogitsDistance& distance);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<float> kept_;  // read back
};

}  // namespace crossval
