// The quantiser of ik_llama.cpp's wheel, which makes the types that no quantiser of ours writes.
#pragma once

#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace crossval::testing {

// The model requantised to a type by its name there ("IQ4_K_R4"), with more arguments if need be;
// "" where the program does not run. `ik` is the wheel's folder.
std::string quantized_by_ik(const std::string& ik, const TempDir& dir, const std::string& from,
                            const std::string& type, const std::vector<std::string>& more = {});

}  // namespace crossval::testing
