// seccomp: Documentation/userspace-api/seccomp_filter.rst of Linux. A call that is refused fails
// with EPERM, which programs are used to.
#include "sandbox/call_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace crossval {
namespace {

// Younger than some headers; the same number on every architecture.
constexpr uint32_t kOpenTree = 428, kMoveMount = 429, kFsopen = 430, kFsconfig = 431,
                   kFsmount = 432, kFspick = 433, kMountSetattr = 442;

// Sockets of every family: a bus or an agent that listens on a Unix socket would act for us, out
// of all bounds. (socketpair, which reaches nobody, is another call.) Last those that reach into
// other processes.
constexpr auto kRefused = std::to_array<uint32_t>({SYS_socket,
                                                   SYS_bpf,
                                                   SYS_perf_event_open,
                                                   SYS_userfaultfd,
                                                   SYS_mount,
                                                   SYS_umount2,
                                                   SYS_pivot_root,
                                                   SYS_chroot,
                                                   kOpenTree,
                                                   kMoveMount,
                                                   kFsopen,
                                                   kFsconfig,
                                                   kFsmount,
                                                   kFspick,
                                                   kMountSetattr,
                                                   SYS_unshare,
                                                   SYS_setns,
                                                   SYS_kexec_load,
                                                   SYS_kexec_file_load,
                                                   SYS_reboot,
                                                   SYS_swapon,
                                                   SYS_swapoff,
                                                   SYS_acct,
                                                   SYS_init_module,
                                                   SYS_finit_module,
                                                   SYS_delete_module,
                                                   SYS_keyctl,
                                                   SYS_add_key,
                                                   SYS_request_key,
                                                   SYS_io_uring_setup,
                                                   SYS_io_uring_enter,
                                                   SYS_io_uring_register,
                                                   SYS_open_by_handle_at,
                                                   SYS_pidfd_getfd,
                                                   SYS_ptrace,
                                                   SYS_process_vm_readv,
                                                   SYS_process_vm_writev});
constexpr size_t kNOfProcesses = 4;

// Of ioctl: what types into the terminal, for the shell to run when we have ended.
constexpr auto kRefusedRequests = std::to_array<uint32_t>({TIOCSTI, TIOCLINUX});

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif
constexpr uint32_t kX32 = 0x40000000;  // the other numbering of calls on x86-64

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;

// Of clone: a process in namespaces of its own could be out of our reach, and is root in them.
constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
// Its younger form keeps the flags where no filter can see them; without it programs take clone.
constexpr uint32_t kClone3 = 435, kNotThere = SECCOMP_RET_ERRNO | ENOSYS;

constexpr uint32_t argument(size_t i) {  // its low half, which comes first
  return static_cast<uint32_t>(offsetof(seccomp_data, args) + i * sizeof(uint64_t));
}

constexpr uint32_t kTypeOfSocket = 0xf;  // its flags are above

// kRefused without its last, and where there is a network without its first.
template <size_t kNRefused, Network kNetwork>
constexpr auto make_filter() {
  constexpr size_t n_of_network = kNetwork == Network::none ? 0 : 11;
  constexpr size_t first = kNetwork == Network::none ? 0 : 1;
  std::array<sock_filter, 15 + n_of_network + 2 * (kNRefused - first + kRefusedRequests.size())>
      filter{};
  size_t n = 0;
  const auto load = [&](size_t offset) {
    filter[n++] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<uint32_t>(offset)};
  };
  const auto give = [&](uint32_t answer) { filter[n++] = {BPF_RET | BPF_K, 0, 0, answer}; };
  const auto refuse_if = [&](uint32_t value) {
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value};
    give(kRefuse);
  };
  load(offsetof(seccomp_data, arch));
  filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture};
  give(kRefuse);
  load(offsetof(seccomp_data, nr));
  filter[n++] = {BPF_JMP | BPF_JGE | BPF_K, 1, 0, kX32};  // to the first refusal below
  for (size_t i = first; i < kNRefused; ++i) refuse_if(kRefused[i]);
  if constexpr (kNetwork != Network::none) {
    const uint32_t other = kNetwork == Network::tcp ? SOCK_STREAM : SOCK_DGRAM;
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, n_of_network - 1, SYS_socket};
    load(argument(0));
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, AF_INET};
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AF_INET6};
    give(kRefuse);
    load(argument(1));
    filter[n++] = {BPF_ALU | BPF_AND | BPF_K, 0, 0, kTypeOfSocket};
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SOCK_STREAM};
    filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, other};
    give(kRefuse);
    give(SECCOMP_RET_ALLOW);
  }
  filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kClone3};
  give(kNotThere);
  filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone};
  load(argument(0));
  filter[n++] = {BPF_JMP | BPF_JSET | BPF_K, 0, 1, kNewNamespaces};
  give(kRefuse);
  give(SECCOMP_RET_ALLOW);
  constexpr uint8_t n_of_requests = 1 + 2 * kRefusedRequests.size();
  filter[n++] = {BPF_JMP | BPF_JEQ | BPF_K, 0, n_of_requests, SYS_ioctl};
  load(argument(1));  // 32 bits wide
  for (const uint32_t request : kRefusedRequests) refuse_if(request);
  give(SECCOMP_RET_ALLOW);
  return filter;
}

template <Network kNetwork>
std::span<const sock_filter> filter_for(bool landlock_holds) {
  static constexpr auto whole = make_filter<kRefused.size(), kNetwork>();
  static constexpr auto beside_landlock = make_filter<kRefused.size() - kNOfProcesses, kNetwork>();
  return landlock_holds ? std::span<const sock_filter>(beside_landlock) : whole;
}

// Behind the other, which has looked at the architecture.
constexpr sock_filter kAloneFilter[] = {
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
#ifdef SYS_fork
    {BPF_JMP | BPF_JEQ | BPF_K, 6, 0, SYS_fork},
    {BPF_JMP | BPF_JEQ | BPF_K, 5, 0, SYS_vfork},
#endif
    {BPF_JMP | BPF_JEQ | BPF_K, 5, 0, kClone3},
    {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, SYS_clone},
    {BPF_LD | BPF_W | BPF_ABS, 0, 0, argument(0)},
    {BPF_JMP | BPF_JSET | BPF_K, 0, 1, CLONE_THREAD},
    {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    {BPF_RET | BPF_K, 0, 0, kRefuse},
    {BPF_RET | BPF_K, 0, 0, kNotThere},
};

int install(std::span<const sock_filter> filter) {
  const sock_fprog program{static_cast<uint16_t>(filter.size()),
                           const_cast<sock_filter*>(filter.data())};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : errno;
}

}  // namespace

bool kernel_filters_calls() {
  const uint32_t action = SECCOMP_RET_ERRNO;
  return kArchitecture != 0 && ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int refuse_calls(bool landlock_holds, Network network) {
  switch (network) {
    case Network::none:
      return install(filter_for<Network::none>(landlock_holds));
    case Network::tcp:
      return install(filter_for<Network::tcp>(landlock_holds));
    case Network::tcp_and_udp:
      return install(filter_for<Network::tcp_and_udp>(landlock_holds));
  }
  return EINVAL;
}

int refuse_processes() { return install(kAloneFilter); }

}  // namespace crossval
