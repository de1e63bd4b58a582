// The deadline of a run, in a process of its own: it is set once for all.
#include "base/deadline.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace crossval {
namespace {

TEST(Deadline, bounds_every_wait_and_is_an_error_when_it_has_passed) {
  EXPECT_FALSE(time_to_run_deadline());
  EXPECT_EQ(bounded_by_run_deadline(5000), 5000);
  EXPECT_NO_THROW(check_run_deadline());
  set_run_deadline(std::chrono::milliseconds(60'000));
  EXPECT_EQ(bounded_by_run_deadline(5000), 5000);
  EXPECT_LE(bounded_by_run_deadline(70'000), 60'000);
  EXPECT_GT(bounded_by_run_deadline(70'000), 1000);
  EXPECT_NO_THROW(check_run_deadline());
  set_run_deadline(std::chrono::milliseconds(0));
  EXPECT_EQ(bounded_by_run_deadline(5000), 0);
  EXPECT_THROW(check_run_deadline(), Error);
}

}  // namespace
}  // namespace crossval
