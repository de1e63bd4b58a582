// The one thread that forks. PR_SET_PDEATHSIG fires when the *thread* that forked ends, not the
// process: so this thread lives as long as the program, with all signals blocked.
#pragma once

#include <sys/types.h>

#include <functional>

namespace crossval {

// fork() there; `child` runs in the child and must not return. The pid, or -1 with errno set.
// In a program with threads a child that does not exec must do without what other threads may hold:
// malloc is safe with glibc, whose fork takes its locks.
pid_t fork_for_life(const std::function<void()>& child);

}  // namespace crossval
