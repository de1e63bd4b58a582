// A program of others, with a process of ours between: the keeper, which is small, does nothing but
// wait, and ends whatever the program started, wherever that went: when the program ends, when we
// say so, and when we die ourselves, by SIGKILL too.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "base/unique_fd.h"

namespace crossval {

struct KeptProcess {
  pid_t keeper = -1;  // our child; -1 = it could not start, and errno says why
  pid_t pid = -1;     // the keeper's
  UniqueFd end;       // can be read when the program, and all it started, has ended
};

// fork_for_life by way of a keeper. `child` runs between fork and exec: async-signal-safe.
KeptProcess fork_kept(const std::function<void()>& child);

struct KeptEnd {
  int status = 0;  // of waitpid; killed by SIGKILL where nobody knows
  int64_t peak_rss_kib = 0;
};
// Ends it with all it started, where it has not ended yet.
KeptEnd end_kept(KeptProcess& process);

// The same for a keeper, async-signal-safe: the first asks, the second waits, two seconds at most.
void ask_keeper_to_end(pid_t keeper);
void wait_for_keeper(pid_t keeper);

}  // namespace crossval
