// What a kernel offers is told in words, and rights that name nothing are none.
#include "sandbox/rights.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

TEST(Rights, what_a_kernel_lacks_is_told) {
  EXPECT_EQ(KernelOffers({.landlock_abi = 6, .seccomp = true}).missing().size(), 0U);
  EXPECT_EQ(KernelOffers({.landlock_abi = 3, .seccomp = true}).missing().size(), 1U);
  const auto nothing = KernelOffers().missing();
  ASSERT_EQ(nothing.size(), 2U);
  EXPECT_NE(nothing[0].find("files"), std::string::npos);
  EXPECT_NE(nothing[1].find("network"), std::string::npos);
}

TEST(Rights, a_path_that_is_not_there_is_no_fault) {
  EXPECT_NO_THROW(PreparedRights({.read = {"/no/such/path"}, .write = {"", "/no/such/path"}}));
}

}  // namespace
}  // namespace crossval
