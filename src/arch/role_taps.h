// What llama.cpp calls the result of the operation that reads a weight, by the weight's role.
#pragma once

#include <string_view>

#include "arch/role.h"

namespace crossval {

// Without the layer: "Qcur" for attn_q; "" where its name depends on the architecture.
std::string_view tap_of_role(Role role);

}  // namespace crossval
