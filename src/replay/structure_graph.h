// The operations of one graph as the check of its structure sees them: of which kinds they are, in
// which layer, what made their inputs, which weights they read.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/tap.h"
#include "gguf/model_file.h"
#include "replay/structure_kinds.h"

namespace crossval {

inline constexpr int kBehindLayers = std::numeric_limits<int>::max();

struct StructureNode {
  std::string name, op;
  std::string token;  // the operation and the roles of the weights that it reads
  int layer = -1;     // -1 = before the layers, kBehindLayers = behind them
  size_t index = 0;   // of the tap among its side's
  std::array<int, kOpKinds> kinds{};
  double factor = 1;                // that it multiplies values by
  double limit = 0;                 // that it limits values to; 0 = none
  double summand = 0;               // that it adds
  int n_experts = 0;                // that it computes for a token; 0 = it computes none
  std::vector<size_t> makers = {};  // of its inputs, as far as the graph has them
  bool moves_weight = false;        // it gives a weight's values in another place
  bool has_mask = false;            // attention's softmax
  bool is_wrong = false;            // a parameter of it is known to be

  bool is_of(OpKind kind) const { return kinds[static_cast<size_t>(kind)] > 0; }
};

// "ADD at l_out-3".
std::string shown(const StructureNode& node);

class StructureGraph {
 public:
  // `weights_say_layer`: blk.3 belongs to layer 3, and to no other.
  StructureGraph(const ModelFile& model, bool weights_say_layer)
      : model_(model), weights_say_layer_(weights_say_layer) {}

  void add(const Tap& tap, size_t index, bool is_wrong);
  // To be called behind the last. Norms without a layer in their names belong to that of the weight
  // which multiplies them; x * sigmoid(x) over x is a sigmoid.
  void finish();
  void clear();

  const std::vector<StructureNode>& nodes() const { return nodes_; }
  // Who reads a weight, by its name in the file.
  const std::map<std::string, std::vector<size_t>>& readers() const { return readers_; }

 private:
  bool is_weight(const std::string& name) const;
  // Fills token, makers and moves_weight; tells how many of the sources are weights.
  int read_sources(const Tap& tap, StructureNode& node);
  int layer_of(const Tap& tap, const StructureNode& node, int of_weights) const;

  const ModelFile& model_;
  const bool weights_say_layer_;
  std::vector<StructureNode> nodes_;
  std::map<std::pair<std::string, int>, size_t> by_name_;
  std::map<std::string, size_t> latest_;  // of a name
  std::map<std::string, std::vector<size_t>> readers_;
};

// "blk.3.attn_q.weight" -> 3, "attn_q.weight"; -1 and all of it where it is of no layer.
std::pair<int, std::string> layer_and_role(const std::string& weight);

}  // namespace crossval
