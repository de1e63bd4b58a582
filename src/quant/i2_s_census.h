// What the codes and the scale of an I2_S tensor say about the file it came from: bitnet.cpp's
// quantiser, run with several threads, writes tensors to wrong places (code 3 where other data got
// in, a scale of 0 or nonsense), and engines load them without a word.
#pragma once

#include <cstdint>
#include <string>

#include "base/parallel.h"
#include "gguf/model_file.h"

namespace crossval {

struct I2sCensus {
  I2sLayout layout = I2sLayout::x86;
  int64_t n_codes[4] = {};  // of code 0 (-1), 1 (0), 2 (+1) and 3, which the quantiser never means
  float scale = 0;          // 1 where the layout has none for the tensor
  // "" or what no undamaged tensor of this quantiser has.
  std::string damage() const;
};

// Counting does not depend on how a layout orders the codes. The tensor's type must be I2_S. In
// BitNet-rs's layouts codes are -2, -1, +1, +2, all meant.
I2sCensus count_i2_s(const TensorView& tensor, ThreadPool& pool);

}  // namespace crossval
