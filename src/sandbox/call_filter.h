// Which system calls are refused, to a child process and to ourselves: the network, the machine,
// namespaces, and where nothing else keeps them apart, other processes.
#pragma once

namespace crossval {

bool kernel_filters_calls();

// Sockets that may be opened: none, of TCP over the internet's families, of UDP as well.
enum class Network { none, tcp, tcp_and_udp };

// From now on, for this thread, those that it starts and all they become. `landlock_holds`: it
// refuses what reaches into processes outside, and leaves a debugger its own. Async-signal-safe.
// 0, or the errno of what failed.
int refuse_calls(bool landlock_holds, Network network);

// The same for starting processes; threads may be.
int refuse_processes();

}  // namespace crossval
