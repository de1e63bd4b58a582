// The elements that a GGUF tensor should have, in its order, as its source in the checkpoint makes
// them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "arch/checkpoint_names.h"
#include "checkpoint/checkpoint.h"

namespace crossval {

class ElementSource {
 public:
  // Parts whose tensor the checkpoint does not have, or whose elements would lie outside of it,
  // make it invalid.
  ElementSource(const CheckpointSource& source, const Checkpoint& checkpoint);

  bool is_valid() const { return is_valid_; }
  int64_t n_elements() const { return n_elements_; }
  // What values may be off by when they were computed: relative to them; 0 = they were copied.
  float slack() const { return slack_; }
  bool is_16_bit() const { return is_16_bit_; }  // so that no value has more digits than an f16
  int64_t n_bytes() const { return n_bytes_; }   // of the checkpoint, all elements

  // Elements `begin` to `begin + n`.
  void read(int64_t begin, int64_t n, float* out) const;

 private:
  struct Piece {
    const CheckpointPart* part;
    const SafetensorsTensor* tensor;  // null: zeros
    int64_t first;                    // its first element
  };
  bool add(const CheckpointPart& part, const Checkpoint& checkpoint);
  void change(float factor, int64_t n, float* out) const;

  const CheckpointSource& source_;
  std::vector<Piece> pieces_;
  int64_t n_elements_ = 0, n_bytes_ = 0;
  float slack_ = 0;
  bool is_valid_ = true, is_16_bit_ = true;
};

}  // namespace crossval
