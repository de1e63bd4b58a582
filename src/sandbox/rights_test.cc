// What a kernel offers is told in words, and rights that name nothing are none.
#include "sandbox/rights.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

TEST(Rights, what_a_kernel_lacks_is_told) {
  const KernelOffers all{.landlock_abi = 6, .seccomp = true, .lists_children = true};
  EXPECT_EQ(all.missing().size(), 0U);
  KernelOffers older = all;
  older.landlock_abi = 3;
  EXPECT_EQ(older.missing().size(), 1U);
  const auto nothing = KernelOffers().missing();
  ASSERT_EQ(nothing.size(), 3U);
  EXPECT_NE(nothing[0].find("files"), std::string::npos);
  EXPECT_NE(nothing[1].find("network"), std::string::npos);
  EXPECT_NE(nothing[2].find("outlive"), std::string::npos);
}

TEST(Rights, a_path_that_is_not_there_is_no_fault) {
  EXPECT_NO_THROW(PreparedRights({.read = {"/no/such/path"}, .write = {"", "/no/such/path"}}));
}

}  // namespace
}  // namespace crossval
