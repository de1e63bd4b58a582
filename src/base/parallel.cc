// The thread pool. A decode step runs some 200 loops of a few microseconds, so workers spin a
// little before they sleep, and a worker that wakes too late never holds up a finished loop: it
// must enter through a gate that the caller closes when no index is left.
#include "base/parallel.h"

#include <atomic>
#include <cassert>
#include <chrono>
#include <exception>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace crossval {
namespace {

// Long enough to bridge the gap between two loops of one layer, short enough to leave the core to
// an engine in another process.
constexpr std::chrono::microseconds kSpin{40};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Spins until `ready()` or the spin time is over; true when ready.
template <typename Ready>
bool spin_until(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

struct ThreadPool::State {
  using Body = std::function<void(int64_t, int)>;
  // gate: number of the loop in the upper half, kOpen, and how many workers are inside.
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = kOpen - 1;

  // One cache line each: the words that all threads write.
  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint32_t> loop{0};      // workers sleep on it
  alignas(64) std::atomic<uint32_t> finished{0};  // the caller sleeps on it
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  std::atomic<bool> busy{false};
  std::exception_ptr exception;
  const Body* body = nullptr;
  int64_t n = 0;
  std::vector<std::thread> workers;

  void take_indices(int thread) {
    for (int64_t i = next.fetch_add(1, std::memory_order_relaxed); i < n;
         i = next.fetch_add(1, std::memory_order_relaxed)) {
      try {
        (*body)(i, thread);
      } catch (...) {
        if (!failed.exchange(true)) exception = std::current_exception();
        next.store(n, std::memory_order_relaxed);  // the other indices are not needed any more
      }
    }
  }

  bool enter(uint32_t number) {
    uint64_t seen = gate.load(std::memory_order_acquire);
    while ((seen >> 32) == number && (seen & kOpen) != 0) {
      if (gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  void leave() {
    const uint64_t before = gate.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kOpen) == 0 && (before & kInside) == 1) {
      finished.fetch_add(1, std::memory_order_release);
      finished.notify_one();
    }
  }

  void work(int thread) {
    uint32_t seen = 0;
    while (true) {
      const auto changed = [&] { return loop.load(std::memory_order_acquire) != seen; };
      if (!spin_until(changed)) loop.wait(seen, std::memory_order_acquire);
      seen = loop.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      if (!enter(seen)) continue;
      take_indices(thread);
      leave();
    }
  }
};

ThreadPool::ThreadPool(int n_threads) : state_(std::make_unique<State>()) {
  for (int thread = 1; thread < n_threads; ++thread) {
    state_->workers.emplace_back([this, thread] { state_->work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->loop.fetch_add(1, std::memory_order_release);
  state_->loop.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::n_threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(int64_t n, const std::function<void(int64_t index, int thread)>& body) {
  State& s = *state_;
  if (n <= 1 || s.workers.empty()) {
    for (int64_t i = 0; i < n; ++i) body(i, 0);
    return;
  }
  const bool was_busy = s.busy.exchange(true);
  assert(!was_busy && "a loop inside a loop, or two callers of one pool");
  (void)was_busy;
  // The gate is closed and nobody is inside, so these may be written without a lock.
  s.body = &body;
  s.n = n;
  s.failed.store(false, std::memory_order_relaxed);
  s.exception = nullptr;
  s.next.store(0, std::memory_order_relaxed);
  const uint32_t number = s.loop.load(std::memory_order_relaxed) + 1;
  s.gate.store((uint64_t{number} << 32) | State::kOpen, std::memory_order_release);
  s.loop.store(number, std::memory_order_release);
  s.loop.notify_all();
  s.take_indices(0);
  const uint64_t before = s.gate.fetch_and(~State::kOpen, std::memory_order_acq_rel);
  if ((before & State::kInside) != 0) {
    const auto done = [&] {
      return (s.gate.load(std::memory_order_acquire) & State::kInside) == 0;
    };
    // `finished` is read before the gate is asked, so that no wake-up can be missed.
    for (bool is_done = spin_until(done); !is_done; is_done = done()) {
      const uint32_t seen = s.finished.load(std::memory_order_acquire);
      if (!done()) s.finished.wait(seen, std::memory_order_acquire);
    }
  }
  s.body = nullptr;
  s.busy.store(false);
  if (s.failed.load()) std::rethrow_exception(s.exception);
}

}  // namespace crossval
