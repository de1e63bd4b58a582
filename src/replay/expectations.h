// What a model file says about the operations of its graph: rms eps, rotation, attention scale and
// mask, activation. What an operation should be stands beside the tap, and each thing that is not
// so is told: that is how a wrong hyperparameter is found, whatever the engine that used it.
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

  // How the feed-forward activation is called: "silu", "relu^2"; "" = not known.
  std::string activation() const;

 private:
  bool needs_scale(std::string_view name) const;
  void expect_order(const Tap& tap, Expected& expected) const;
  void expect_rope(const Tap& tap, Expected& expected) const;
  void expect_norm(const Tap& tap, Expected& expected) const;
  void expect_attention(const Tap& tap, Queries queries, Expected& expected) const;
  void expect_mask(const Tap& tap, size_t source, Expected& expected) const;
  void expect_activation(const Tap& tap, Expected& expected) const;
  void expect_inputs(const Tap& tap, std::span<const TokenId> ids, Expected& expected) const;

  void expect_scale(const Tap& tap, Expected& expected) const;
  void read_layers();
  // Whether a layer looks through the sliding window.
  bool has_window(int layer) const;

  struct Row;
  static const Row* find_row(const std::string& arch);

  std::shared_ptr<const ModelFile> model_;
  const Row* row_ = nullptr;
  std::optional<Config> config_;
  int window_ = 0;                      // positions that a windowed layer sees; 0 = there are none
  int window_period_ = 1;               // of so many layers the last sees all
  std::vector<bool> layer_has_window_;  // where the file says it of each
  float window_rope_base_ = 10000;
  float softcap_ = 0;  // of attention scores; 0 = none
};

}  // namespace crossval
