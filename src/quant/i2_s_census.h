// What the codes and the scale of an I2_S tensor say about the file it came from: bitnet.cpp's
// quantiser, run with several threads, writes tensors to wrong places (code 3 where other data got
// in, a scale of 0 or nonsense), and engines load them without a word.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "gguf/model_file.h"

namespace crossval {

struct I2sCensus {
  int64_t n_codes[4] = {};  // of code 0 (-1), 1 (0), 2 (+1) and 3, which the quantiser never means
  float scale = 0;
  // "" or what no undamaged tensor of this quantiser has.
  std::string damage() const;
};

// Counting does not depend on how a layout orders the codes. The tensor's type must be I2_S.
I2sCensus count_i2_s(const TensorView& tensor, ThreadPool& pool);

// What the bytes between a tensor's start and the next one's (or the file's end) are enough for.
enum class I2sFlavour {
  tensor_scale,  // 2 bits a weight and one scale behind them: bitnet.cpp
  inline_f16,    // 32 weights in 8 bytes, each followed by an f16 scale: BitNet-rs "BitNet32-F16"
  unknown,
};
// `space` = those bytes; up to 63 of them may be alignment. Small tensors fit several: unknown.
I2sFlavour i2_s_flavour(int64_t n_weights, int64_t space);

// Of every I2_S tensor of a model; unknown for the last tensor of a file.
std::vector<std::pair<const TensorView*, I2sFlavour>> i2_s_flavours(const ModelFile& model);

}  // namespace crossval
