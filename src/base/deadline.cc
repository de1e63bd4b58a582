#include "base/deadline.h"

#include <algorithm>
#include <atomic>

namespace crossval {
namespace {

using Clock = std::chrono::steady_clock;

// Milliseconds of the clock; 0 = none.
std::atomic<int64_t> deadline_ms{0};

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

}  // namespace

void set_run_deadline(std::chrono::milliseconds from_now) {
  deadline_ms = now_ms() + from_now.count();
}

std::optional<std::chrono::milliseconds> time_to_run_deadline() {
  const int64_t deadline = deadline_ms;
  if (deadline == 0) return std::nullopt;
  return std::chrono::milliseconds(std::max<int64_t>(0, deadline - now_ms()));
}

int bounded_by_run_deadline(int timeout_ms) {
  const auto left = time_to_run_deadline();
  return left ? static_cast<int>(std::min<int64_t>(timeout_ms, left->count())) : timeout_ms;
}

Error deadline_error() {
  return {Status::backend_failed, "deadline", "the run was not over at its deadline", "--deadline",
          "give it more time, or a shorter prompt"};
}

void check_run_deadline() {
  const auto left = time_to_run_deadline();
  if (left && left->count() == 0) throw deadline_error();
}

}  // namespace crossval
