// A process that cannot outlive us: own process group, under a keeper (sandbox/keeper.h), always
// reaped with all it started. Knows nothing of what is said over its pipes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/keeper.h"
#include "sandbox/rights.h"

namespace crossval {

struct ExitInfo {
  int exit_code = 0;
  int signal = 0;  // 0 = it exited by itself
  int64_t peak_rss_bytes = 0;
  // "killed by SIGSEGV (segmentation fault)", "exited with code 1".
  std::string text() const;
};

// What a child is held to, beside ending with us.
struct WorkerCover {
  Rights rights;
  std::vector<std::string> environment;  // all that it gets, "NAME=VALUE"
  int model_fd = -1;  // one of ours that it gets as kWorkerModelFd: a file without a name
};

class ChildProcess {
 public:
  // Starts argv[0] (a path). Descriptor 0 is /dev/null, 1 and 2 go to `log_fd`, 3 and 4 are the
  // ends of `request_fd` and `reply_fd`; everything else is closed. Throws backend_failed.
  // Without a cover it has our rights and our environment (compilers).
  static std::unique_ptr<ChildProcess> spawn(const std::vector<std::string>& argv,
                                             const WorkerCover* cover = nullptr);
  ~ChildProcess();  // terminates it

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return process_.pid; }
  // Our ends; non-blocking.
  UniqueFd request_fd, reply_fd, log_fd;
  // Readable once the process ended.
  int exit_fd() const { return process_.end.get(); }

  // Waits up to grace_ms for it to end by itself, then ends it with all it started.
  ExitInfo finish(int grace_ms);
  int64_t peak_rss_bytes() const;

 private:
  ChildProcess() = default;

  KeptProcess process_;
  int slot_ = -1;
  std::optional<ExitInfo> exit_;
};

// Kills and reaps every worker there is. Async-signal-safe: for SIGINT and SIGTERM handlers.
void kill_all_workers();

}  // namespace crossval
