// What a child process, or our own, may still do: read and write only what is named, no network, no
// reaching into other processes; a child so much memory. A child's are prepared before fork and
// entered between fork and whatever follows. Rights only shrink: a child of ours has ours at most.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/call_filter.h"

namespace crossval {

struct Rights {
  std::vector<std::string> read;    // files and folders, to read and to run what is in them
  std::vector<std::string> look;    // files to read alone; of folders the names in them
  std::vector<std::string> output;  // files to write alone; folders to make, write, remove files in
  std::vector<std::string> write;   // all of that, whatever it is
  int64_t more_data_bytes = 0;      // private memory beyond what we have now; 0 = without bound
  int64_t data_bytes = 0;           // the same in all, of a child that becomes another program
  bool starts_processes = true;     // threads it may start always
  std::vector<int> connect_ports;   // TCP to these, wherever; none: no socket at all
  bool resolves_names = false;      // sockets of UDP too, by which names are looked up
};

// What this kernel can hold a process to, and in words what it cannot; asked once.
struct KernelOffers {
  int landlock_abi = 0;  // 0 = no Landlock: files stay open
  bool seccomp = false;  // filters of system calls: network, ptrace
  // Of those that may connect: to other ports they cannot.
  bool holds_ports() const { return landlock_abi >= 4; }
  bool lists_children = false;  // so that all of them are found, whatever session they are in
  std::vector<std::string> missing() const;
};
const KernelOffers& kernel_offers();

class PreparedRights {
 public:
  // A path that is not there gives no right. Never throws for what the kernel lacks: see
  // kernel_offers().
  explicit PreparedRights(const Rights& rights);

  // In the child, for good; async-signal-safe. 0, or the errno of what failed.
  int enter() const;

 private:
  UniqueFd ruleset_;
  uint64_t data_limit_bytes_ = 0;
  bool starts_processes_;
  Network network_;
};

// What came of it.
struct OwnCover {
  bool files = false, calls = false;
};

// Our own process, for good. Only while it has a single thread: others would keep their rights.
// Memory stays without bounds. Never throws for what the kernel lacks or refuses.
OwnCover confine_self(const Rights& rights);

}  // namespace crossval
