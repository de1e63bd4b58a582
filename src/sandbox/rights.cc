// Files: Landlock (Documentation/userspace-api/landlock.rst of Linux, whose structures grow at
// their end; those of linux/landlock.h here may be older than the running kernel). System calls:
// seccomp filters (Documentation/userspace-api/seccomp_filter.rst). Neither asks for privileges.
#include "sandbox/rights.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <span>

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

constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;  // on every architecture
constexpr uint32_t kAskVersion = 1, kPathRule = 1;
constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3;
constexpr uint64_t kTruncate = 1 << 14, kIoctlDevice = 1 << 15;
constexpr uint64_t kRead = kExecute | kReadFile | kReadDir;
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
  const auto allow = [&](const std::string& path, uint64_t access) {
    const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat info {};
    if (!fd || ::fstat(fd.get(), &info) != 0) return;
    const uint64_t fits = S_ISDIR(info.st_mode) ? access : access & kOfFiles;
    const LandlockPath rule{fits & known, fd.get()};
    ::syscall(kAddRule, ruleset.get(), kPathRule, &rule, 0);
  };
  if (!ruleset) return ruleset;
  for (const std::string& path : rights.read) allow(path, kRead);
  for (const std::string& path : rights.write) allow(path, known);
  return ruleset;
}

// No network; nothing of the machine; nothing of other processes, which comes last: Landlock
// refuses that of processes outside and leaves a debugger its own. A call that is refused fails
// with EPERM, which programs are used to.
constexpr auto kRefused = std::to_array<uint32_t>({SYS_socket,
                                                   SYS_bpf,
                                                   SYS_perf_event_open,
                                                   SYS_userfaultfd,
                                                   SYS_mount,
                                                   SYS_umount2,
                                                   SYS_pivot_root,
                                                   SYS_chroot,
                                                   SYS_unshare,
                                                   SYS_setns,
                                                   SYS_kexec_load,
                                                   SYS_init_module,
                                                   SYS_finit_module,
                                                   SYS_keyctl,
                                                   SYS_delete_module,
                                                   SYS_add_key,
                                                   SYS_request_key,
                                                   SYS_io_uring_setup,
                                                   SYS_io_uring_enter,
                                                   SYS_pidfd_getfd,
                                                   SYS_ptrace,
                                                   SYS_process_vm_readv,
                                                   SYS_process_vm_writev,
                                                   SYS_open_by_handle_at});
constexpr size_t kNOfProcesses = 5;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif
constexpr uint32_t kX32 = 0x40000000;  // the other numbering of calls on x86-64

template <size_t kNRefused>
constexpr size_t kFilterLength = 5 + 2 * kNRefused + 1;
constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

template <size_t kNRefused>
constexpr std::array<sock_filter, kFilterLength<kNRefused>> make_filter() {
  std::array<sock_filter, kFilterLength<kNRefused>> filter{};
  size_t n = 0;
  const auto load = [&](size_t offset) {
    filter[n++] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
  };
  load(offsetof(seccomp_data, arch));
  filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture};
  filter[n++] = {BPF_RET | BPF_K, 0, 0, kRefuse};
  load(offsetof(seccomp_data, nr));
  filter[n++] = {BPF_JMP | BPF_JGE | BPF_K, 1, 0, kX32};  // to the first refusal below
  for (size_t i = 0; i < kNRefused; ++i) {
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kRefused[i]};
    filter[n++] = {BPF_RET | BPF_K, 0, 0, kRefuse};
  }
  filter[n++] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  return filter;
}
constexpr auto kWholeFilter = make_filter<kRefused.size()>();
constexpr auto kFilterBesideLandlock = make_filter<kRefused.size() - kNOfProcesses>();

// What we have now of what RLIMIT_DATA counts: field 6 of /proc/self/statm, in pages.
uint64_t data_bytes_now() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  for (int field = 0; field < 6; ++field) statm >> pages;
  return statm ? pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// root's, but for reading and writing whatever file it is let at: with CAP_PERFMON, for one, the
// environment of any process can be read (kernel/fork.c, may_access_mm).
int give_up_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return errno;
  constexpr uint32_t kept = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
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
  const uint32_t action = SECCOMP_RET_ERRNO;
  offers.seccomp =
      kArchitecture != 0 && ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
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
  return words;
}

const KernelOffers& kernel_offers() {
  static const KernelOffers offers = ask_kernel();
  return offers;
}

PreparedRights::PreparedRights(const Rights& rights) : ruleset_(make_ruleset(rights)) {
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
  if (const int reason = give_up_capabilities(); reason != 0) return reason;
  if (ruleset_ && ::syscall(kRestrictSelf, ruleset_.get(), 0) != 0) return errno;
  if (kernel_offers().seccomp) {
    const std::span<const sock_filter> filter =
        ruleset_ ? std::span<const sock_filter>(kFilterBesideLandlock) : kWholeFilter;
    const sock_fprog program{static_cast<uint16_t>(filter.size()),
                             const_cast<sock_filter*>(filter.data())};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return errno;
  }
  return 0;
}

}  // namespace crossval
