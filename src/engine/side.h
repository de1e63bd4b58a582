// Who takes part in a comparison, and as what.
#pragma once

namespace crossval {

enum class Side {
  engine,      // the one that checks: --engine
  backend,     // the one that is checked, and whose choice is decoded: --backend
  noise,       // native under another rounding than `engine`: what rounding alone does
  noise_base,  // what `noise` is measured against, where that is not `engine` itself
};
inline constexpr int kNSides = 4;

}  // namespace crossval
