// One class of fault (or of harmless change): which models it applies to, how it is planted, and
// what `crossval trace` is to say of it. The tables are in *_faults.cc and clean_pairs.cc.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "faults/model_info.h"
#include "support/random.h"

namespace crossval::testing {

enum class Group { hyperparameter, layout, weights, kernel, tokenizer, clean };
const char* group_name(Group group);

// What is right. A tap or a weight that fits one of each list is the right tensor; nothing in
// `causes` = the cause is not judged.
struct Expectation {
  int exit_code = 1;
  std::vector<std::string> tensors;  // "Qcur-0", or with an operation: "Qcur-0 ROPE"
  std::string weight;                // "blk.0.attn_q.weight"; naming it is right as well
  std::vector<std::string> causes;   // words of first_divergence.cause
  std::vector<std::string> flags;    // for the command line, besides the models and the prompt
  std::string engine;                // another build to run as the backend: "llama-b3889"
  std::string kernel_fault;          // for faulty_worker: "ffn_up-1 MUL_MAT zero"; "" = none
};

struct FaultSite {
  const ModelInfo& info;
  Random& random;
  ModelEdit& good;  // what native reads; few faults change it
  ModelEdit& bad;   // what the backend reads
};

struct Fault {
  const char* name;
  Group group;
  bool quick;  // part of the short suite
  bool (*applies)(const ModelInfo& info, const ModelEdit& model);
  Expectation (*plant)(const FaultSite& site);
  bool changes_good = false;  // native reads a changed copy too
};

std::span<const Fault> hyperparameter_faults();
std::span<const Fault> layout_faults();
std::span<const Fault> weight_faults();
std::span<const Fault> kernel_faults();
std::span<const Fault> tokenizer_faults();
std::span<const Fault> clean_pairs();
std::vector<const Fault*> all_faults();

// Names of the taps that a weight's own operation makes, in llama.cpp's graphs.
std::vector<std::string> taps_of(const std::string& weight, bool tied);
Expectation expect_weight(const FaultSite& site, const std::string& weight,
                          std::vector<std::string> causes);

}  // namespace crossval::testing
