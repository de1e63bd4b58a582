// Files: Landlock (Documentation/userspace-api/landlock.rst of Linux, whose structures grow at
// their end; those of linux/landlock.h here may be older than the running kernel), which asks for
// no privileges.
#include "sandbox/rights.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "sandbox/call_filter.h"

namespace crossval {
namespace {

// linux/landlock.h of 6.12.
struct LandlockRuleset {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
static_assert(sizeof(LandlockRuleset) == 24);
struct [[gnu::packed]] LandlockPath {
  uint64_t allowed_access;
  int32_t parent_fd;
};
static_assert(sizeof(LandlockPath) == 12);

struct LandlockPort {
  uint64_t allowed_access, port;
};
static_assert(sizeof(LandlockPort) == 16);

constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;  // on every architecture
constexpr uint32_t kAskVersion = 1, kPathRule = 1, kPortRule = 2;
constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3;
constexpr uint64_t kRemoveFile = 1 << 5, kMakeFolder = 1 << 7, kMakeFile = 1 << 8;
constexpr uint64_t kTruncate = 1 << 14, kIoctlDevice = 1 << 15;
constexpr uint64_t kConnect = 1 << 1;
constexpr uint64_t kRead = kExecute | kReadFile | kReadDir;
constexpr uint64_t kOutput = kWriteFile | kTruncate | kMakeFile | kMakeFolder | kRemoveFile;
// Of files; the others are of folders.
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;

uint64_t known_access(int abi) {
  const int n_bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  return (uint64_t{1} << n_bits) - 1;
}

UniqueFd make_ruleset(const Rights& rights) {
  const int abi = kernel_offers().landlock_abi;
  if (abi == 0) return {};
  const uint64_t known = known_access(abi);
  LandlockRuleset all{known, 0, 0};
  size_t size = sizeof(uint64_t);
  if (abi >= 4) {
    all.handled_access_net = 3;  // bind and connect of TCP
    size = 2 * sizeof(uint64_t);
  }
  if (abi >= 6) {
    all.scoped = 3;  // abstract Unix sockets and signals stay inside
    size = 3 * sizeof(uint64_t);
  }
  const UniqueFd low(static_cast<int>(::syscall(kCreateRuleset, &all, size, 0)));
  // Out of the way of the low numbers that a child gives away before it enters.
  constexpr int lowest = 16;
  UniqueFd ruleset(low ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, lowest) : -1);
  const auto allow = [&](const std::string& path, uint64_t of_file, uint64_t of_folder) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return;
    const uint64_t fits = S_ISDIR(info.st_mode) ? of_folder : of_file & kOfFiles;
    const LandlockPath rule{fits & known, fd.get()};
    ::syscall(kAddRule, ruleset.get(), kPathRule, &rule, 0);
  };
  if (!ruleset) return ruleset;
  for (const std::string& path : rights.read) allow(path, kRead, kRead);
  for (const std::string& path : rights.look) allow(path, kReadFile, kReadDir);
  for (const std::string& path : rights.output) allow(path, kOutput, kOutput);
  for (const std::string& path : rights.write) allow(path, known, known);
  for (const int port : rights.connect_ports) {
    const LandlockPort rule{kConnect, static_cast<uint64_t>(port)};
    ::syscall(kAddRule, ruleset.get(), kPortRule, &rule, 0);
  }
  return ruleset;
}

Network network_of(const Rights& rights) {
  if (rights.connect_ports.empty()) return Network::none;
  return rights.resolves_names ? Network::tcp_and_udp : Network::tcp;
}

// What we have now of what RLIMIT_DATA counts: field 6 of /proc/self/statm, in pages.
uint64_t data_bytes_now() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  for (int field = 0; field < 6; ++field) statm >> pages;
  return statm ? pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// root's, but for reading and writing whatever file it is let at: with CAP_PERFMON, for one, the
// environment of any process can be read (kernel/fork.c, may_access_mm).
constexpr uint32_t kCapabilitiesOfFiles = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
int give_up_capabilities(uint32_t kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return errno;
  data[0].effective &= kept;
  data[0].permitted &= kept;
  data[0].inheritable = 0;
  data[1] = {};
  return ::syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

KernelOffers ask_kernel() {
  KernelOffers offers;
  const long abi = ::syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  offers.landlock_abi = abi > 0 ? static_cast<int>(abi) : 0;
  offers.seccomp = kernel_filters_calls();
  offers.lists_children = ::access("/proc/thread-self/children", R_OK) == 0;
  return offers;
}

}  // namespace

std::vector<std::string> KernelOffers::missing() const {
  std::vector<std::string> words;
  if (landlock_abi == 0) words.emplace_back("no Landlock: files are not protected");
  if (landlock_abi > 0 && landlock_abi < 6) {
    words.emplace_back("Landlock before version 6: signals to other processes are not refused");
  }
  if (!seccomp) words.emplace_back("no seccomp filters: the network is not refused");
  if (!lists_children) {
    words.emplace_back("no CONFIG_PROC_CHILDREN: daemons of a worker may outlive it");
  }
  return words;
}

const KernelOffers& kernel_offers() {
  static const KernelOffers offers = ask_kernel();
  return offers;
}

PreparedRights::PreparedRights(const Rights& rights)
    : ruleset_(make_ruleset(rights)),
      starts_processes_(rights.starts_processes),
      network_(network_of(rights)) {
  data_limit_bytes_ = static_cast<uint64_t>(rights.data_bytes);
  if (rights.more_data_bytes > 0) {
    data_limit_bytes_ = data_bytes_now() + static_cast<uint64_t>(rights.more_data_bytes);
  }
}

int PreparedRights::enter() const {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (data_limit_bytes_ > 0) {
    const rlimit data{data_limit_bytes_, data_limit_bytes_};
    if (::setrlimit(RLIMIT_DATA, &data) != 0) return errno;
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (const int reason = give_up_capabilities(kCapabilitiesOfFiles); reason != 0) return reason;
  if (ruleset_ && ::syscall(kRestrictSelf, ruleset_.get(), 0) != 0) return errno;
  if (!kernel_offers().seccomp) return 0;
  if (const int reason = refuse_calls(static_cast<bool>(ruleset_), network_); reason != 0)
    return reason;
  return starts_processes_ ? 0 : refuse_processes();
}

OwnCover confine_self(const Rights& rights) {
  OwnCover cover;
  const UniqueFd ruleset = make_ruleset(rights);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cover;
  // Replacing an output of somebody else in a folder of many (/tmp) takes CAP_FOWNER.
  give_up_capabilities(kCapabilitiesOfFiles | 1u << CAP_FOWNER);
  cover.files = ruleset && ::syscall(kRestrictSelf, ruleset.get(), 0) == 0;
  cover.calls = kernel_offers().seccomp && refuse_calls(cover.files, network_of(rights)) == 0;
  return cover;
}

}  // namespace crossval
