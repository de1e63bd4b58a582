// Whatever the function does, the caller gets its answer or one Error; and it reaches nothing.
#include "sandbox/confined_task.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using Fields = ConfinedTask::Fields;
using testing::TempDir;
using testing::write_text;

const ConfinedTask::Failure kFailure = {
    .code = "task_failed", .where = "here", .what = "the function", .fix = "do not"};

ConfinedTask task(std::function<Fields(const Fields&)> serve, const Rights& rights = {}) {
  return ConfinedTask([serve] { return serve; }, rights);
}

std::string failure_of(ConfinedTask& task, int timeout_ms = 10'000) {
  try {
    task.call({"go"}, timeout_ms, kFailure);
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "task_failed");
    EXPECT_EQ(error.status, Status::bad_input);
    return error.what_;
  }
  return "no error";
}

TEST(ConfinedTask, answers_and_carries_errors_over) {
  ConfinedTask echo = task([](const Fields& request) {
    if (request.at(0) == "refuse") bad_input("code", "what", "where", "fix");
    return request;
  });
  const Fields fields = {"a", std::string(3'000'000, 'x'), "", std::string("\0\xff", 2)};
  EXPECT_EQ(echo.call(fields, 10'000, kFailure), fields);
  try {
    echo.call({"refuse"}, 10'000, kFailure);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code + error.what_ + error.where + error.fix, "codewhatwherefix");
  }
  EXPECT_EQ(echo.call({"still", "there"}, 10'000, kFailure).size(), 2U);
}

TEST(ConfinedTask, an_error_of_opening_is_the_answer_to_every_request) {
  ConfinedTask never([]() -> ConfinedTask::Serve { bad_input("no", "such", "thing", "here"); }, {});
  for (int i = 0; i < 2; ++i) EXPECT_THROW(never.call({"go"}, 10'000, kFailure), Error);
  EXPECT_FALSE(never.is_gone());
}

int recurse(int depth) {
  char frame[4096] = {};
  ::getcwd(frame, sizeof frame);  // which the compiler cannot leave out
  return depth < 0 ? 0 : recurse(depth + 1) + frame[0];
}

TEST(ConfinedTask, death_loops_and_hunger_each_are_one_error) {
  ConfinedTask crash = task([](const Fields&) -> Fields { std::abort(); });
  EXPECT_NE(failure_of(crash).find("brought down the process"), std::string::npos);
  EXPECT_NE(failure_of(crash).find("brought down"), std::string::npos);  // and stays so
  ConfinedTask deep = task([](const Fields&) -> Fields { return {std::to_string(recurse(0))}; });
  EXPECT_NE(failure_of(deep).find("brought down the process"), std::string::npos);
  ConfinedTask leaves = task([](const Fields&) -> Fields { ::_exit(0); });
  EXPECT_NE(failure_of(leaves).find("ended the process"), std::string::npos);
  ConfinedTask loop = task([](const Fields&) -> Fields {
    for (;;) ::getppid();
  });
  EXPECT_NE(failure_of(loop, 100).find("100 ms"), std::string::npos);
  ConfinedTask hungry = task(
      [](const Fields&) -> Fields {
        std::vector<std::string> all;
        for (;;) all.emplace_back(1 << 20, 'x');
      },
      {.more_data_bytes = 1 << 26});
  EXPECT_NE(failure_of(hungry).find("more memory than it may have"), std::string::npos);
}

// What the system says to each attempt: "0" = it worked.
std::string attempt(const std::function<int()>& body, const Rights& rights = {}) {
  ConfinedTask tries = task(
      [body](const Fields&) -> Fields {
        errno = 0;
        return {std::to_string(body() >= 0 ? 0 : errno)};
      },
      rights);
  return tries.call({"go"}, 10'000, kFailure).at(0);
}

TEST(ConfinedTask, reaches_nothing) {
  if (!kernel_offers().missing().empty()) GTEST_SKIP() << kernel_offers().missing().front();
  const TempDir folder;
  write_text(folder.file("secret"), "s");
  write_text(folder.file("allowed"), "a");
  const std::string secret = folder.file("secret"), allowed = folder.file("allowed");
  const auto open_file = [](const std::string& path, int flags) {
    return [path, flags] { return ::open(path.c_str(), flags, 0600); };
  };
  EXPECT_EQ(attempt([] { return ::socket(AF_INET, SOCK_STREAM, 0); }), std::to_string(EPERM));
  EXPECT_EQ(attempt([] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }), std::to_string(EPERM));
  EXPECT_EQ(attempt(open_file(secret, O_RDONLY)), std::to_string(EACCES));
  EXPECT_EQ(attempt(open_file(folder.file("new"), O_WRONLY | O_CREAT)), std::to_string(EACCES));
  const Rights one{.read = {allowed}};
  EXPECT_EQ(attempt(open_file(allowed, O_RDONLY), one), "0");
  EXPECT_EQ(attempt(open_file(allowed, O_WRONLY), one), std::to_string(EACCES));
  EXPECT_EQ(attempt(open_file(secret, O_RDONLY), one), std::to_string(EACCES));
  const pid_t parent = ::getpid();
  static int ours = 7;
  EXPECT_NE(attempt([parent] {
              int value = 0;
              iovec local{&value, sizeof value}, remote{&ours, sizeof ours};
              return static_cast<int>(::process_vm_readv(parent, &local, 1, &remote, 1, 0));
            }),
            "0");
  EXPECT_NE(attempt(open_file("/proc/" + std::to_string(parent) + "/mem", O_RDONLY)), "0");
  EXPECT_NE(attempt([parent] { return ::kill(parent, SIGCONT); }), "0");
  EXPECT_EQ(attempt([] { return ::fork(); }), std::to_string(EPERM));
  EXPECT_EQ(attempt([] { return ::vfork() == 0 ? (::_exit(0), 0) : -1; }), std::to_string(EPERM));
  EXPECT_EQ(attempt([] {
              std::thread([] {}).join();
              return 0;
            }),
            "0");
}

TEST(ConfinedTask, nothing_of_it_is_left) {
  pid_t pid = 0;
  {
    ConfinedTask hanging =
        task([](const Fields&) -> Fields { return {std::to_string(::getpid())}; });
    pid = std::stoi(hanging.call({"go"}, 10'000, kFailure).at(0));
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

}  // namespace
}  // namespace crossval
