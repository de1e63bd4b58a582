// The operations that make the structure of a graph, by what they do: engines call some of them
// otherwise, or have several in one. Products, sums and factors with a weight are not among them:
// those are known by their weight. Nor is what only moves or chooses values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/tap.h"

namespace crossval {

enum class OpKind : uint8_t {
  norm,
  rope,
  softmax,
  product,
  sum,
  times,
  activation,
  square,
  sigmoid,
  tanh,
  softplus,
  exponential,
  clamp,
  quotient,
  row_sum,
  convolution,
  recurrence,
  other,
  count,
};
inline constexpr size_t kOpKinds = static_cast<size_t>(OpKind::count);

// "norm", "rotation (ROPE)": as a sentence calls it.
std::string_view kind_name(OpKind kind);

// How many operations of each kind an operation is, several where it is a fused one. None where it
// only moves or chooses values. `n_weights`: how many of its sources are weights.
std::array<int, kOpKinds> kinds_of(const Operation& operation, int n_weights);

}  // namespace crossval
