#include "cli/terminal_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "render/visible.h"

namespace crossval {

using Clock = std::chrono::steady_clock;

struct TerminalProgress::State {
  bool enabled = false, terminal = false, verbose = false, quiet = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::string what;
  Clock::time_point since;
  bool shown = false;  // something of the present stage is on the screen
  bool stop = false;
  std::thread ticker;

  // The line on a terminal is erased before anything else is printed. Caller holds the mutex.
  void clear_line() {
    if (shown && terminal) std::fputs("\r\x1b[K", stderr);
    shown = false;
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stop) {
      changed.wait_for(lock, std::chrono::milliseconds(200));
      if (stop || what.empty()) continue;
      const double seconds = std::chrono::duration<double>(Clock::now() - since).count();
      if (seconds < 1.0 || (shown && !terminal)) continue;
      if (terminal) {
        std::fputs(fmt::format("\r\x1b[K{} ... {:.0f} s", what, seconds).c_str(), stderr);
      } else {
        std::fputs(fmt::format("{} ...\n", what).c_str(), stderr);
      }
      std::fflush(stderr);
      shown = true;
    }
  }
};

TerminalProgress::TerminalProgress(const CommonOptions& options)
    : state_(std::make_unique<State>()) {
  state_->terminal = isatty(STDERR_FILENO) == 1;
  state_->verbose = options.verbose;
  state_->quiet = options.quiet;
  state_->enabled =
      !options.quiet && (options.progress == ProgressMode::always ||
                         (options.progress == ProgressMode::automatic && state_->terminal));
  if (state_->enabled) state_->ticker = std::thread([this] { state_->run(); });
}

TerminalProgress::~TerminalProgress() {
  if (!state_->ticker.joinable()) return;
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->clear_line();
  }
  state_->changed.notify_all();
  state_->ticker.join();
}

void TerminalProgress::stage(const std::string& what) {
  std::lock_guard lock(state_->mutex);
  state_->clear_line();
  state_->what = visible(what);
  state_->since = Clock::now();
}

void TerminalProgress::note(const std::string& line) {
  if (state_->quiet) return;
  std::lock_guard lock(state_->mutex);
  state_->clear_line();
  std::fputs((visible_lines(line) + "\n").c_str(), stderr);
}

void TerminalProgress::verbose(const std::string& line) {
  if (state_->verbose) note(line);
}

}  // namespace crossval
