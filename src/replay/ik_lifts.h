// Codes that ik_llama.cpp's kernels lift above zero: what that takes is added up by itself, as a
// float, and taken off the sum. So sums are larger than their result, and so is their rounding.
#pragma once

#include "gguf/types.h"

namespace crossval {

// By so much are weights of this type lifted, in units of d (formats.h); 0: they are not. Of its
// own types only: what those of llama.cpp are lifted by is within their bound (replay/matmul.cc).
int ik_lifts_by(GgmlType type);

}  // namespace crossval
