#include "run/kept_logits.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "compare/distance.h"
#include "run/drive.h"

namespace crossval {
namespace {

[[noreturn]] void no_room(const char* what) {
  bad_input("cannot_write", std::string(what) + ": " + std::strerror(errno), "temporary files",
            "free room in the system's folder for temporary files");
}

}  // namespace

KeptLogits::KeptLogits(int n_vocab) : file_(std::tmpfile()), kept_(static_cast<size_t>(n_vocab)) {
  if (!file_) no_room("there is no place for the logits");
}

void KeptLogits::keep(int position, std::span<const float> row) {
  const auto offset = static_cast<off_t>(row.size_bytes()) * position;
  if (::pwrite(::fileno(file_.get()), row.data(), row.size_bytes(), offset) !=
      static_cast<ssize_t>(row.size_bytes())) {
    no_room("the logits could not be kept");
  }
}

void KeptLogits::compare(int position, std::span<const float> row, LogitsDistance& distance) {
  assert(row.size() == kept_.size());
  const auto offset = static_cast<off_t>(row.size_bytes()) * position;
  if (::pread(::fileno(file_.get()), kept_.data(), row.size_bytes(), offset) !=
      static_cast<ssize_t>(row.size_bytes())) {
    no_room("the logits could not be read back");
  }
  ++distance.n_positions;
  if (std::memcmp(row.data(), kept_.data(), row.size_bytes()) == 0) return;
  ++distance.n_different;
  const auto is_finite = [](float value) { return std::isfinite(value); };
  distance.n_non_finite +=
      std::ranges::all_of(kept_, is_finite) && !std::ranges::all_of(row, is_finite);
  const DistanceSums sums = distance_sums(row, kept_);
  const double rel_l2 = relative_distance(row, kept_);
  // A row that is not finite stays the worst.
  if (!std::isnan(distance.rel_l2) && !(rel_l2 <= distance.rel_l2)) {
    distance.rel_l2 = rel_l2;
    distance.worst_position = position;
  }
  const double cosine = sums.dot / std::sqrt(sums.ee * sums.bb);
  if (!(cosine >= distance.min_cosine)) distance.min_cosine = cosine;
  if (greedy_choice(row) != greedy_choice(kept_)) ++distance.n_top1_changes;
}

}  // namespace crossval
