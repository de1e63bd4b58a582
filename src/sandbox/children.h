// Every process that we start, and what it leaves behind. Whatever a child did to get away (another
// group, another session, a daemon), its descendants end with it.
#pragma once

#include <sys/types.h>

#include <functional>

namespace crossval {

// fork(), on a thread that lives as long as the program: PR_SET_PDEATHSIG fires when the *thread*
// that forked ends, not the process. `child` runs in the child and must not return: in a process
// group of its own (Ctrl-C reaches the parent alone, which then decides), killed when we die, with
// no signal handled or blocked. The pid, or -1 with errno set. In a program with threads a child
// that does not exec must do without what other threads may hold: malloc is safe with glibc, whose
// fork takes its locks.
pid_t fork_for_life(const std::function<void()>& child);

// The beginning of a child of `parent`, as fork_for_life makes it: between fork and whatever
// follows, async-signal-safe.
void begin_child(pid_t parent);

// After a child was reaped: it is ours no more, and what it left, which became our own children by
// its death (PR_SET_CHILD_SUBREAPER), is killed and reaped too. Without CONFIG_PROC_CHILDREN in the
// kernel only the process groups of children are known, and nothing is done here.
void forget_child(pid_t pid);

// Kills a child, reaps it and forgets it: the status of waitpid.
int end_child(pid_t pid);

}  // namespace crossval
