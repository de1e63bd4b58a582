// A tensor of an engine's graph as the comparison of two graphs needs it: the operation, what it
// reads, and a few hundred of its values, so that a whole graph fits into some megabytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/placed_tap.h"
#include "engine/tap.h"

namespace crossval {

struct GraphSource {
  std::string name;  // without what views add to it
  bool is_weight = false;
  bool is_there = true;  // false: left out (optional)
  GgmlType type = GgmlType::F32;
  std::optional<TapOrigin> origin;
  // Of an attention mask: how many keys the last position sees; -1 = it is none.
  int64_t n_visible = -1;
};

struct GraphNode {
  std::string name, op;
  int occurrence = 0;
  int layer = -1;
  int index = 0;  // of the tap among its side's
  std::array<int32_t, 16> params = {};
  std::vector<GraphSource> sources;
  bool is_right = false;  // it was recomputed, and gives what its own inputs call for
  // Nodes of two graphs can hold the same values only where these are equal: values of a position,
  // or for attention scores, whose rows engines pad as they like, minus the number of heads.
  int64_t width = 0;
  // At places that depend on the width and the number of positions alone. Empty where no dimension
  // counts the positions, or where there are no floats.
  std::vector<float> samples;

  bool reads_weight(std::string_view weight) const;
};

GraphNode graph_node(const PlacedTap& placed);

// ||a - b|| / ||b|| over their samples: 0 where both are 0, infinite where one is not finite in the
// same places. Both must have samples.
double sampled_distance(const GraphNode& a, const GraphNode& b);

}  // namespace crossval
