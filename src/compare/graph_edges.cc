#include "compare/graph_edges.h"

namespace crossval {

bool is_fusion(std::string_view op) {
  return op.find("FUSED") != std::string_view::npos || op == "MUL_MULTI_ADD" ||
         op == "FLASH_ATTN_EXT" || op == "SWIGLU" || op == "GEGLU" || op == "REGLU" ||
         op == "GEGLU_ERF" || op == "GEGLU_QUICK";
}

bool is_gate(std::string_view op) {
  return op == "SILU" || op == "GELU" || op == "RELU" || op == "GELU_ERF" || op == "GELU_QUICK";
}

GraphEdges::GraphEdges(const std::vector<GraphNode>& graph) : graph_(graph) {
  for (size_t i = 0; i < graph.size(); ++i) by_name_[{graph[i].name, graph[i].occurrence}] = i;
  readers_.resize(graph.size());
  for (size_t i = 0; i < graph.size(); ++i) {
    for (const GraphSource& source : graph[i].sources) {
      if (const auto maker = maker_of(source, i)) readers_[*maker].push_back(i);
    }
  }
}

std::optional<size_t> GraphEdges::maker_of(const GraphSource& source, size_t reader) const {
  if (source.origin) {
    const auto found = by_name_.find({source.origin->name, source.origin->occurrence});
    if (found != by_name_.end() && found->second < reader) return found->second;
    return std::nullopt;
  }
  if (!source.name.starts_with("cache_")) return std::nullopt;
  for (size_t i = reader; i-- > 0;) {
    if (graph_[i].name == source.name) return i;
  }
  return std::nullopt;
}

}  // namespace crossval
