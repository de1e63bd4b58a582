// What `crossval check-conversion` found: schema crossval/conversion/1 (conversion_fields.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verdict/report.h"

namespace crossval {

struct CheckpointReport {
  std::string path, model_type;
  std::vector<std::string> files;
  int64_t n_tensors = 0, n_bytes = 0;
};

// One thing that the file has otherwise than its checkpoint.
struct ConversionFault {
  std::string kind;      // "key", "tensor", "missing", "surplus", "token", "merge", "template"
  std::string where;     // the key or tensor of the file, or what is compared
  std::string source;    // of the checkpoint, "" = nothing in particular
  std::string cause;     // "rows of heads not reordered", ...; "" = none explains it
  std::string expected;  // by the checkpoint, as text
  std::string actual;    // in the file
  std::string explanation = {};
  std::optional<int64_t> n_wrong = {}, n_elements = {};  // weights
  std::optional<int64_t> row = {}, column = {};          // the first one: row over all experts
};

// How much of a kind was compared.
struct ConversionCount {
  int64_t compared = 0, differing = 0;
};

struct ConversionReport {
  Status status = Status::bad_input;
  ModelReport model;
  CheckpointReport checkpoint;
  ConversionCount keys, tensors, tokens, merges, specials, templates;
  std::vector<ConversionFault> faults;
  std::vector<std::string> not_compared;  // what stands in the file or the checkpoint, and why
  std::vector<std::string> notes;
  int64_t n_weights = 0, bytes_read = 0;
  double weights_ms = 0, total_ms = 0;
  std::optional<ErrorReport> error;
  RunInfo run = {};
};

}  // namespace crossval
