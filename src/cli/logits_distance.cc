#include "cli/logits_distance.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "cli/lockstep.h"
#include "compare/distance.h"

namespace crossval {
namespace {

[[noreturn]] void no_room(const char* what) {
  bad_input("cannot_write", std::string(what) + ": " + std::strerror(errno), "temporary files",
            "free room in the system's folder for temporary files");
}

}  // namespace

KeptLogits::KeptLogits(int n_vocab)
    : file_(std::tmpfile()),
      row_(static_cast<size_t>(n_vocab)),
      kept_(static_cast<size_t>(n_vocab)) {
  if (!file_) no_room("there is no place for the logits");
}

void KeptLogits::keep(Engine& engine, int first, int n_rows) {
  for (int i = 0; i < n_rows; ++i) {
    engine.read_logits(i, 1, row_);
    const auto offset = static_cast<off_t>(row_bytes()) * (first + i);
    if (::pwrite(::fileno(file_.get()), row_.data(), row_bytes(), offset) !=
        static_cast<ssize_t>(row_bytes())) {
      no_room("the logits could not be kept");
    }
  }
}

void KeptLogits::compare(Engine& engine, int first, int n_rows, LogitsDistance& distance) {
  for (int i = 0; i < n_rows; ++i) {
    engine.read_logits(i, 1, row_);
    const auto offset = static_cast<off_t>(row_bytes()) * (first + i);
    if (::pread(::fileno(file_.get()), kept_.data(), row_bytes(), offset) !=
        static_cast<ssize_t>(row_bytes())) {
      no_room("the logits could not be read back");
    }
    ++distance.n_positions;
    if (std::memcmp(row_.data(), kept_.data(), row_bytes()) == 0) continue;
    ++distance.n_different;
    const DistanceSums sums = distance_sums(row_, kept_);
    const double rel_l2 = relative_distance(row_, kept_);
    // A row that is not finite stays the worst.
    if (!std::isnan(distance.rel_l2) && !(rel_l2 <= distance.rel_l2)) {
      distance.rel_l2 = rel_l2;
      distance.worst_position = first + i;
    }
    const double cosine = sums.dot / std::sqrt(sums.ee * sums.bb);
    if (!(cosine >= distance.min_cosine)) distance.min_cosine = cosine;
    if (crossval::greedy_choice(row_) != crossval::greedy_choice(kept_)) ++distance.n_top1_changes;
  }
}

TokenId KeptLogits::greedy_choice() const { return crossval::greedy_choice(row_); }

}  // namespace crossval
