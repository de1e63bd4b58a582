#include "quant/isa.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "quant/kernels.h"

namespace crossval {
namespace {

// The choice is made once in a process, so each case runs in its own.
class ForcedIsa : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

void exit_with_active_isa(const std::string& wanted) {
  setenv("CROSSVAL_ISA", wanted.c_str(), 1);
  try {
    const Kernels& kernels = active_kernels();
    std::fprintf(stderr, "runs %s\n", std::string(isa_name(kernels.isa)).c_str());
    std::exit(kernels.isa == active_isa() ? 0 : 9);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s in %s\n", error.what_.c_str(), error.where.c_str());
    std::exit(static_cast<int>(error.status));
  }
}

TEST_F(ForcedIsa, TheNamedOneRuns) {
  for (const Isa isa : all_isas()) {
    const std::string name(isa_name(isa));
    if (cpu_has(isa)) {
      EXPECT_EXIT(exit_with_active_isa(name), ::testing::ExitedWithCode(0), "runs " + name + "\n");
    } else {
      EXPECT_EXIT(exit_with_active_isa(name), ::testing::ExitedWithCode(3), "lacks .*" + name);
    }
  }
}

TEST_F(ForcedIsa, UnknownNamesAreErrors) {
  EXPECT_EXIT(exit_with_active_isa("sse9"), ::testing::ExitedWithCode(3), "sse9 in CROSSVAL_ISA");
}

}  // namespace
}  // namespace crossval
