// The part of `inspect` about I2_S (BitNet) tensors: what their codes, scales and sizes tell about
// the file, and what nothing in it can tell.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "gguf/model_file.h"

namespace crossval {

// null for a model without such tensors.
nlohmann::ordered_json i2_s_json(const ModelFile& model);

}  // namespace crossval
