// One tensor of a GGUF against its source in the checkpoint, over all threads, in pieces: memory
// does not grow with the model.
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "conversion/element_source.h"
#include "conversion/weight_rule.h"

namespace crossval {

struct TensorCheck {
  bool is_compared = false;  // false: the type is unknown here, or the sizes do not fit
  WrongWeights wrong;
  Between between = Between::nothing;
};

// How much of it, and of the source.
struct TensorScope {
  int64_t max_rows = -1;     // -1 = all; else so many, spread over the tensor
  int64_t first_source = 0;  // element of the source that its first is held against
  bool is_part = false;      // the source has more elements
  bool is_turned = false;    // rows of the file are columns of the source (square matrices)
};

// The reading with fewest wrong weights counts: direct, or by way of 16 bits where the checkpoint
// has more.
TensorCheck check_tensor(const TensorView& tensor, const CheckpointSource& source,
                         const Checkpoint& checkpoint, ThreadPool& pool,
                         const TensorScope& scope = {});

// Whether these values are those of the source to a weight: first a few rows, then all.
bool is_source(const TensorView& tensor, const CheckpointSource& source,
               const Checkpoint& checkpoint, ThreadPool& pool, TensorScope scope = {});

}  // namespace crossval
