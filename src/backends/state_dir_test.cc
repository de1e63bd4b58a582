// What setup remembers, with several of them at once.
#include "backends/state_dir.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "support/temp_dir.h"

namespace crossval {
namespace {

TEST(StateDir, setups_at_once_lose_nothing) {
  const testing::TempDir home;
  ::setenv("CROSSVAL_HOME", home.path().c_str(), 1);
  constexpr int n_processes = 6, n_names = 10;
  std::vector<pid_t> children;
  for (int i = 0; i < n_processes; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      for (int k = 0; k < n_names; ++k) {
        remember_program("p" + std::to_string(i) + "-" + std::to_string(k), {"/bin/true"});
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(remembered_programs().size(), static_cast<size_t>(n_processes * n_names));
  ::unsetenv("CROSSVAL_HOME");
}

}  // namespace
}  // namespace crossval
