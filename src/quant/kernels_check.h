// Compares a table of kernels with the scalar reference on made-up data, bit for bit.
#pragma once

#include <string>

#include "quant/kernels.h"

namespace crossval {

// Empty when all bits are equal, else which kernel differed first. Takes about a millisecond.
std::string check_kernels(const Kernels& kernels);

}  // namespace crossval
