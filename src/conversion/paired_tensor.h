// Tensors of a GGUF with their sources in the checkpoint.
#pragma once

#include <string>
#include <vector>

#include "arch/archs.h"
#include "arch/checkpoint_names.h"
#include "checkpoint/checkpoint.h"

namespace crossval {

struct PairedTensor {
  const TensorView* tensor;
  TensorSpec spec;
  bool is_bias = false;
  CheckpointSource source;

  // The tensor of the checkpoint, or the first of several.
  std::string source_name() const {
    return source.parts.empty() ? "config.json" : source.parts.front().name;
  }
};

// All that the names depend on.
struct ConversionModel {
  const ModelFile& model;
  const Arch& arch;
  const CheckpointRow& row;
  const Config& config;
  const CheckpointFacts& facts;
  const Checkpoint& checkpoint;
};

struct TensorPairs {
  std::vector<PairedTensor> pairs;
  struct Unpaired {
    const TensorView* tensor;
    std::string expected;  // the name that was looked for; "" = what it is for is not known
  };
  std::vector<Unpaired> surplus;      // of the GGUF
  std::vector<std::string> missing;   // of the checkpoint: no tensor of the GGUF has all of them
  std::vector<std::string> left_out;  // of the checkpoint, as converters leave out, and why
};

TensorPairs pair_with_checkpoint(const ConversionModel& of);

}  // namespace crossval
