// What a model file says about the operations of its graph: rms eps, rotation, attention scale and
// mask, activation. A tap is put right before it is replayed, and each thing that had to be put
// right is told: that is how a wrong hyperparameter is found, whatever the engine that used it.
//
// Knows by name the architectures of its table; for others only what the graph feeds itself (ids,
// positions) is expected.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/tap.h"
#include "gguf/model_file.h"
#include "native/config.h"
#include "replay/cause_words.h"

namespace crossval {

// One thing an engine did otherwise than the model file says.
struct ParameterFault {
  Cause cause = Cause::unknown;
  std::string what;      // "rms eps"
  std::string expected;  // "1e-05", "relu^2", "the ids of the prompt"
  std::string found;     // "1e-06"
};

class Expectations {
 public:
  explicit Expectations(std::shared_ptr<const ModelFile> model);

  // Whether the architecture is in the table: otherwise structure and parameters go unchecked.
  bool knows_architecture() const { return config_.has_value(); }

  // Corrects `tap` in place; empty = it was as the model file says. `ids` = those of the eval.
  std::vector<ParameterFault> correct(Tap& tap, std::span<const TokenId> ids) const;

  // Weights of the file that none of `used` names although the graph needs each of them.
  std::vector<std::string> unused_weights(const std::set<std::string>& used) const;

  // How the feed-forward activation is called: "silu", "relu^2"; "" = not known.
  std::string activation() const;

 private:
  void correct_rope(Tap& tap, std::vector<ParameterFault>& faults) const;
  void correct_norm(Tap& tap, std::vector<ParameterFault>& faults) const;
  void correct_attention(Tap& tap, std::vector<ParameterFault>& faults) const;
  void correct_mask(Tap& tap, TapTensor& mask, std::vector<ParameterFault>& faults) const;
  void correct_activation(Tap& tap, std::vector<ParameterFault>& faults) const;
  void correct_inputs(Tap& tap, std::span<const TokenId> ids,
                      std::vector<ParameterFault>& faults) const;

  void correct_scale(Tap& tap, std::vector<ParameterFault>& faults) const;
  void read_layers();
  // Whether a layer looks through the sliding window.
  bool has_window(int layer) const;

  struct Row;
  static const Row* find_row(const std::string& arch);

  std::shared_ptr<const ModelFile> model_;
  const Row* row_ = nullptr;
  std::optional<Config> config_;
  int window_ = 0;  // positions that a windowed layer sees; 0 = there are none
  float window_rope_base_ = 10000;
  float softcap_ = 0;  // of attention scores; 0 = none
};

}  // namespace crossval
