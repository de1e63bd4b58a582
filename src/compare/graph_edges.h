// Which node of a graph reads which, and which operations are several in one.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compare/graph_node.h"

namespace crossval {

// Several operations in one, which another engine may have apart.
bool is_fusion(std::string_view op);
// The activation that a gated unit has inside.
bool is_gate(std::string_view op);

// A graph with the way from a tap to those that read it. The graph must outlive it.
class GraphEdges {
 public:
  explicit GraphEdges(const std::vector<GraphNode>& graph);

  // The node before `reader` whose values the source holds; a cache's is the one that wrote to it.
  std::optional<size_t> maker_of(const GraphSource& source, size_t reader) const;
  const std::vector<size_t>& readers(size_t i) const { return readers_[i]; }

 private:
  const std::vector<GraphNode>& graph_;
  std::map<std::pair<std::string, int>, size_t> by_name_;
  std::vector<std::vector<size_t>> readers_;
};

}  // namespace crossval
