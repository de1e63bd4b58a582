// Two engines' graphs of the same ids, laid over each other by the values that they compute and by
// what operations read, not by names alone: where do they part, and what is different there?
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "compare/graph_node.h"

namespace crossval {

// What is different at the place where the graphs part.
struct GraphDifference {
  enum class Kind {
    parameter,  // of the same operation
    mask,       // the last position sees another number of keys
    weight,     // one of the two reads it, the other does not
    source,     // the same operation reads another tensor
    operation,  // one is missing or too many
    result      // operation, parameters and sources are the same
  };
  Kind kind = Kind::result;
  std::string what;             // "rope mode", "blk.0.attn_q.bias", "source 1"
  std::string engine, backend;  // what each has: values, tensors, operations
  bool is_engines = false;      // weight: the engine lacks it; operation: it is the engine's alone
};

struct GraphParting {
  size_t backend = 0;  // index of the node in the backend's graph
  // What the node reads and no values are known of, such as states: may be what is wrong instead.
  std::vector<size_t> unseen;
  // The first leads; others are of the same layer's attention.
  std::vector<GraphDifference> differences;
};

struct GraphComparison {
  // The first node of the backend whose values the engine has nowhere although it has all that the
  // node reads, and from which the deviation reaches the end of the graph: what heals on the way,
  // such as a scale that one engine applies earlier, is no difference, nor is what two right
  // operations (GraphNode::is_right) round apart. Where rounding hides all that and yet the logits
  // are known to part, the first that reads something else or has another parameter.
  std::optional<GraphParting> parting;
  // Where the logits part, yet nothing else does: every operation has its counterpart, with the
  // same parameters and sources, and both are right.
  bool is_alike = false;
};

GraphComparison compare_graphs(const std::vector<GraphNode>& engine,
                               const std::vector<GraphNode>& backend, bool logits_part);

}  // namespace crossval
