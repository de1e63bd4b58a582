// Finds an off-by-one between two runs: row p here equals row p+1 there. Fed row by row.
#pragma once

#include <optional>
#include <span>

namespace crossval {

// Below this relative distance two rows are not worth testing for a shift.
inline constexpr double kShiftSuspect = 0.02;
// A neighbour fits when it is at most this part of the aligned distance away.
inline constexpr double kShiftFit = 0.25;

enum class ShiftVote { none, backend_late, backend_early };

// How the rows at a position relate to the rows at the position before it. `rel_l2` is the aligned
// relative distance of this position; absent where it could not be computed.
ShiftVote shift_vote(std::span<const float> engine_before, std::span<const float> backend_before,
                     std::span<const float> engine, std::span<const float> backend,
                     std::optional<double> rel_l2);

// Counts votes; a shift is named when it explains more than half of all neighbouring positions,
// and at least two.
class ShiftCount {
 public:
  void add(ShiftVote vote);
  // +1: the engine's row p is the backend's row p+1. -1: the other way round.
  std::optional<int> shift() const;

 private:
  int n_ = 0, n_late_ = 0, n_early_ = 0;
};

}  // namespace crossval
