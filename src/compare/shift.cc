#include "compare/shift.h"

#include "compare/distance.h"

namespace crossval {

ShiftVote shift_vote(std::span<const float> engine_before, std::span<const float> backend_before,
                     std::span<const float> engine, std::span<const float> backend,
                     std::optional<double> rel_l2) {
  if (!rel_l2 || *rel_l2 < kShiftSuspect) return ShiftVote::none;
  const double limit = kShiftFit * *rel_l2;
  const double late = relative_distance(engine_before, backend);
  const double early = relative_distance(engine, backend_before);
  if (late <= limit && !(early <= late)) return ShiftVote::backend_late;  // NaN never fits
  if (early <= limit) return ShiftVote::backend_early;
  return ShiftVote::none;
}

void ShiftCount::add(ShiftVote vote) {
  ++n_;
  if (vote == ShiftVote::backend_late) ++n_late_;
  if (vote == ShiftVote::backend_early) ++n_early_;
}

std::optional<int> ShiftCount::shift() const {
  if (n_late_ >= 2 && 2 * n_late_ > n_) return 1;
  if (n_early_ >= 2 && 2 * n_early_ > n_) return -1;
  return std::nullopt;
}

}  // namespace crossval
