// Why a tap is not what it should be: hypotheses are computed, and one is kept only when the error
// vanishes with it (or, for weights, when the engine's own file shows it).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "engine/tap.h"
#include "gguf/model_file.h"
#include "replay/cause_words.h"
#include "replay/expectations.h"
#include "replay/replay.h"
#include "replay/weight_source.h"

namespace crossval {

// A tap that replay found wrong, and what it was compared with.
struct Suspect {
  const Tap& found;                           // as the engine computed it
  const Operation& expected;                  // what the model file wants of it
  const std::vector<ParameterFault>& faults;  // found -> expected
  const Replayed& replayed;                   // of `expected`
};

struct Explanation {
  Cause cause = Cause::unknown;
  std::string weight;    // the weight concerned; "" = none
  std::string sentence;  // "the engine uses rms eps 1e-06 where the model file says 1e-05"
};

class CauseFinder {
 public:
  // `engine_model` = the file that the engine under test read, when it is another one; else null.
  CauseFinder(std::shared_ptr<const ModelFile> model, std::shared_ptr<const ModelFile> engine_model,
              WeightSource& weights, ThreadPool& pool);

  Explanation explain(const Suspect& suspect);

 private:
  std::optional<Explanation> from_parameters(const Suspect& suspect);
  std::optional<Explanation> from_files(const Suspect& suspect);
  std::optional<Explanation> from_values(const Suspect& suspect);
  std::optional<Explanation> from_other_weights(const Suspect& suspect, const TapTensor& weight);
  // fused_faults.cc
  std::optional<Explanation> from_fused(const Suspect& suspect);
  std::optional<Explanation> from_bias(const Suspect& suspect);
  std::optional<Explanation> from_one_more(const Suspect& suspect);
  std::optional<Explanation> from_other_expert(const Suspect& suspect);
  // kernel_faults.cc
  std::optional<Explanation> from_kernels(const Suspect& suspect);
  std::optional<Explanation> from_int16_overflow(const Suspect& suspect);
  std::optional<Explanation> from_saturation(const Suspect& suspect);
  std::optional<Explanation> from_scale_read_as_codes(const Suspect& suspect);
  std::optional<Explanation> from_other_ops(const Suspect& suspect);
  std::optional<Explanation> from_parameter_fits(const Suspect& suspect);
  Explanation unexplained(const Suspect& suspect);
  // Whether `operation` gives what the engine found.
  bool vanishes(const Operation& operation, const Suspect& suspect);

  std::shared_ptr<const ModelFile> model_, engine_model_;
  WeightSource& weights_;
  ThreadPool& pool_;
  int head_dim_ = 0;
};

// Hypotheses read off the values alone: expected and observed, row-major [n_rows, row_len].
// Scaled, permuted, zero, unrelated, a few columns.
std::optional<Explanation> explain_values(std::span<const float> expected,
                                          std::span<const float> observed, int64_t row_len,
                                          int head_dim);

}  // namespace crossval
