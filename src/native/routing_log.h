// Which experts routers chose, kept for those who ask whether rounding could have tipped a choice;
// and choices that a run is told to make otherwise, to see what that does.
#pragma once

#include <set>
#include <span>
#include <utility>
#include <vector>

namespace crossval {

// One token's choice in one layer.
struct RoutingChoice {
  float margin = 0;  // of the last expert taken over the first that is not, as they were ranked
  int last = -1;     // the last expert taken
};

// Of one run.
class RoutingLog {
 public:
  // Choices of a layer at positions first_position, ...
  void keep(int layer, int first_position, std::span<const RoutingChoice> choices);
  // [layer][position]; empty where a layer chooses nothing.
  const std::vector<std::vector<RoutingChoice>>& layers() const { return layers_; }

 private:
  std::vector<std::vector<RoutingChoice>> layers_;
};

// {position, layer}: there the last expert taken and the first that is not change places.
using RoutingTips = std::set<std::pair<int, int>>;

struct NarrowChoice {
  int position = 0, layer = 0;
  double sigmas = 0;  // its margin, in what rounding moves margins of this layer by
};

// Choices of `base` that rounding could have made otherwise, as far as it moved margins between two
// runs of the same ids: by position, and of a position the narrowest first. Once a token's choices
// differ between the runs, what it chooses later is no measure of rounding.
std::vector<NarrowChoice> narrow_choices(const RoutingLog& base, const RoutingLog& other);

}  // namespace crossval
