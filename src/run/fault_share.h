// How much of the distance between the logits each of several faults makes: native runs the model
// with that fault's weights alone taken from the file that the backend read.
#pragma once

#include <memory>

#include "gguf/model_file.h"
#include "run/progress.h"
#include "verdict/trace_report.h"

namespace crossval {

// Fills `share` of faults whose weights differ between the two files, where there is more than one
// fault and native runs the model. Costs an evaluation for each, and one more.
void measure_fault_shares(const std::shared_ptr<const ModelFile>& model,
                          const std::shared_ptr<const ModelFile>& backend_model, int n_threads,
                          Progress& progress, TraceReport& report);

}  // namespace crossval
