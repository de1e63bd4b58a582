// What a quantisation type makes of a weight: where in a file's tensor a value is not what rounding
// the checkpoint's would give. Types whose codes stand for values of a scale's own grid are held to
// the nearest code under the file's own scales, whatever chose those; floats to exact rounding;
// types of whole groups (lattices) to the size of the error of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gguf/model_file.h"
#include "quant/formats.h"

namespace crossval {

// What the values may have been rounded to on the way: a file made from one of 16 bits.
enum class Between { nothing, f16, bf16 };

struct WrongWeights {
  int64_t n_wrong = 0;
  int64_t first = -1;  // element, in the file's order
  float expected = 0, actual = 0;
  std::vector<int64_t> blocks;  // of those with wrong weights, the first few
  int64_t n_blocks = 0;

  void add(int64_t element, float by_checkpoint, float in_file);
  void end_block(int64_t block, int64_t n_before);
  void merge(const WrongWeights& other);
};

class WeightRule {
 public:
  // `slack`: relative error of the values that are handed to it.
  WeightRule(const TensorView& tensor, float slack);

  // False for types that native cannot read, or whose scales lie elsewhere.
  bool is_known() const { return kind_ != Kind::unknown; }
  // Of whole rows: `row` is the file's, `x` what the checkpoint says, changed by what lies between.
  void check_row(int64_t row, Between between, float* x, WrongWeights& out) const;
  int64_t row_len() const { return row_len_; }
  int block_len() const;

 private:
  enum class Kind { unknown, floats, grid, lattice };
  struct Steps {  // halves of the distances to a code's neighbours; large at the ends
    float below, above;
  };
  void set_grid(int n_codes);
  const std::byte* row_bytes(int64_t row) const;
  bool is_stored_so(int64_t row, const float* x) const;
  void check_floats(const float* got, const float* x, int64_t first, WrongWeights& out) const;
  void check_grid(int64_t row, const float* x, WrongWeights& out) const;
  void check_lattice(const float* got, const float* x, int64_t first, WrongWeights& out) const;

  const TensorView& tensor_;
  const Format* format_ = nullptr;
  Kind kind_ = Kind::unknown;
  int64_t row_len_ = 0, row_bytes_ = 0;
  float slack_;
  float scale_rounding_ = 0;  // by which codes were chosen before a scale was rounded
  float unit_ratio_ = 0;      // of a scale of 0: it was below so much of its neighbours' largest
  std::vector<Steps> steps_;  // by code
  float n_steps_ = 0;         // from the lowest code to the highest
  float even_steps_ = 0;      // half a step, where all but the ends are so
};

}  // namespace crossval
