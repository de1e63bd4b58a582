// The table of operations that can be recomputed: ggml's name -> function, one file per family.
#pragma once

#include <span>
#include <string_view>

#include "replay/inputs.h"

namespace crossval {

// Recomputes under the operation's admissible arithmetic number `variant`, likeliest first; false
// when there are no more. Throws Unreplayable. `out` comes empty.
using ReplayFunction = bool (*)(Inputs& in, int variant, Recomputed& out);

struct ReplayOp {
  std::string_view name;    // ggml_op_desc
  ReplayFunction function;  // null: nothing is computed, the result is a view
};

const ReplayOp* find_replay_op(std::string_view name);
std::span<const ReplayOp> all_replay_ops();

}  // namespace crossval
