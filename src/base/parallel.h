// A small fixed pool of threads for data-parallel loops. Work is cut into fixed chunks by the
// caller, so that results never depend on how many threads there are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace crossval {

class ThreadPool {
 public:
  explicit ThreadPool(int n_threads);  // the calling thread counts as one
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const;

  // Calls body(index, thread) once for every index in [0, n), in any order, and waits for all.
  // `thread` < n_threads() names a scratch slot. An exception from body is rethrown here.
  void run(int64_t n, const std::function<void(int64_t index, int thread)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crossval
