#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace crossval {
namespace {

TEST(ThreadPool, RunsEveryIndexOnce) {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    EXPECT_EQ(pool.n_threads(), n_threads);
    for (int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(n));
      pool.run(n, [&](int64_t i, int thread) {
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, n_threads);
        calls[static_cast<size_t>(i)]++;
      });
      for (auto& c : calls) EXPECT_EQ(c.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsWithAndWithoutSleepBetween) {
  ThreadPool pool(4);
  std::atomic<int64_t> sum{0};
  for (int loop = 0; loop < 20000; ++loop) {
    pool.run(5, [&](int64_t i, int) { sum += i; });
    if (loop % 4000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(sum.load(), 20000 * 10);
}

TEST(ThreadPool, RethrowsAndStaysUsable) {
  ThreadPool pool(3);
  for (int loop = 0; loop < 100; ++loop) {
    EXPECT_THROW(pool.run(50,
                          [](int64_t i, int) {
                            if (i == 7) throw std::runtime_error("seven");
                          }),
                 std::runtime_error);
  }
  std::atomic<int> n{0};
  pool.run(50, [&](int64_t, int) { n++; });
  EXPECT_EQ(n.load(), 50);
}

}  // namespace
}  // namespace crossval
