// What a model file says about the operations of its graph: rms eps, rotation, attention scale and
// mask, activation. What an operation should be stands beside the tap, and each thing that is not
// so is told: that is how a wrong hyperparameter is found, whatever the engine that used it.
//
// Knows the architectures of arch/; for others only what the graph feeds itself (ids, positions) is
// expected.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "arch/config.h"
#include "arch/tensors.h"
#include "engine/engine.h"
#include "engine/tap.h"
#include "gguf/model_file.h"
#include "replay/cause_words.h"
#include "replay/structure.h"

namespace crossval {

// One thing an engine did otherwise than the model file says.
struct ParameterFault {
  Cause cause = Cause::unknown;
  std::string what;      // "rms eps"
  std::string expected;  // "1e-05", "relu^2", "the ids of the prompt"
  std::string found;     // "1e-06"
};

// What a tap's operation should be: the engine's own, put right where it was not. Data that need no
// change are shared with the tap.
struct Expected {
  Operation operation;
  std::vector<ParameterFault> faults;  // empty = it was as the model file says
};

class Expectations {
 public:
  explicit Expectations(std::shared_ptr<const ModelFile> model);

  // Whether the architecture is in the table: otherwise structure and parameters go unchecked.
  bool knows_architecture() const { return config_.has_value(); }

  // What the model file makes of a tap. `ids` = those of the eval. Where an architecture has its
  // attention scale multiplied into the queries, other engines leave them and scale in the softmax:
  // `queries` = what this graph did in the tap's layer.
  enum class Queries { unknown, unscaled, scaled };
  Expected expect(const Tap& tap, std::span<const TokenId> ids,
                  Queries queries = Queries::unknown) const;

  // Weights of the file that none of `used` names.
  struct Unread {
    std::vector<std::string> needed;  // by the graph of a known architecture
    std::vector<std::string> others;
  };
  Unread unread_weights(const std::set<std::string>& used) const;

  // Of graphs of this model, which it must not outlive; none where the architecture is not known.
  std::optional<StructureCheck> structure_check() const;

  // How the feed-forward activation is called: "silu", "relu^2"; "" = not known.
  std::string activation() const;

 private:
  bool needs_scale(const TensorSpec& spec) const;
  std::set<std::string> needed_tensors() const;
  void expect_order(const Tap& tap, Expected& expected) const;
  void expect_rope(const Tap& tap, Expected& expected) const;
  void expect_norm(const Tap& tap, Expected& expected) const;
  void expect_attention(const Tap& tap, Queries queries, Expected& expected) const;
  void expect_mask(const Tap& tap, size_t source, Expected& expected) const;
  void expect_activation(const Tap& tap, Expected& expected) const;
  void expect_inputs(const Tap& tap, std::span<const TokenId> ids, Expected& expected) const;

  void expect_divisor(const Tap& tap, Expected& expected) const;
  void expect_choice(const Tap& tap, Expected& expected) const;
  void expect_scale(const Tap& tap, Expected& expected) const;
  // nullptr for tensors of no layer, or of one that the model file has not got.
  const LayerConfig* layer(int layer) const;

  std::shared_ptr<const ModelFile> model_;
  const Arch* arch_ = nullptr;
  std::optional<Config> config_;
};

}  // namespace crossval
