// Tokens, types, scores, merges, special ids and the chat template of a GGUF against the files of
// its checkpoint.
#pragma once

#include "checkpoint/checkpoint.h"
#include "gguf/model_file.h"
#include "verdict/conversion_report.h"

namespace crossval {

// `padding_id`: of CheckpointRow.
void check_vocabulary(const ModelFile& model, const Checkpoint& checkpoint, int padding_id,
                      ConversionReport& report);

}  // namespace crossval
