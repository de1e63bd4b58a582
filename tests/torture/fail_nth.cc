// A library to preload: the n-th call of one system function, or of malloc, fails, or does less
// than asked. FAIL_CALL=write:17:ENOSPC (or :EINTR, :short, ...); where it happened, the file
// FAIL_MARK is made. Counted from main() on (before it nobody can catch anything), through children
// that do not begin another program.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

struct Plan {
  char call[16] = "";
  long nth = 0;
  int code = 0;  // 0: short
  const char* mark = nullptr;
};

constexpr struct {
  const char* name;
  int code;
} kCodes[] = {{"ENOSPC", ENOSPC}, {"EINTR", EINTR},   {"EIO", EIO}, {"ENOMEM", ENOMEM},
              {"EMFILE", EMFILE}, {"EAGAIN", EAGAIN}, {"short", 0}};

// In the library's own storage: malloc cannot be used to read it.
Plan read_plan() {
  Plan plan;
  const char* text = std::getenv("FAIL_CALL");
  plan.mark = std::getenv("FAIL_MARK");
  if (text == nullptr) return plan;
  const char* colon = std::strchr(text, ':');
  if (colon == nullptr || colon - text >= static_cast<long>(sizeof plan.call)) return plan;
  std::memcpy(plan.call, text, static_cast<size_t>(colon - text));
  char* end = nullptr;
  plan.nth = std::strtol(colon + 1, &end, 10);
  for (const auto& [name, code] : kCodes) {
    if (*end == ':' && std::strcmp(end + 1, name) == 0) plan.code = code;
  }
  return plan;
}

const Plan& plan() {
  static const Plan value = read_plan();
  return value;
}

std::atomic<long> n_calls{0};
std::atomic<bool> main_began{false};
int (*real_main)(int, char**, char**);

int marked_main(int argc, char** argv, char** environment) {
  main_began = true;
  return real_main(argc, argv, environment);
}

bool is_now(const char* call) {
  if (!main_began || plan().nth == 0 || std::strcmp(plan().call, call) != 0) return false;
  if (++n_calls != plan().nth) return false;
  if (plan().mark != nullptr) {
    const long fd = ::syscall(SYS_openat, AT_FDCWD, plan().mark, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0) ::syscall(SYS_close, fd);
  }
  errno = plan().code;
  return true;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int __libc_start_main(int (*main)(int, char**, char**), int argc, char** argv, void (*init)(),
                      void (*fini)(), void (*rtld_fini)(), void* stack_end) {
  static const auto real = next<decltype(&__libc_start_main)>("__libc_start_main");
  real_main = main;
  return real(marked_main, argc, argv, init, fini, rtld_fini, stack_end);
}

void* __libc_malloc(size_t size);
void* malloc(size_t size) { return is_now("malloc") ? nullptr : __libc_malloc(size); }

ssize_t write(int fd, const void* bytes, size_t n) {
  if (is_now("write")) {
    if (plan().code != 0) return -1;
    n = n < 2 ? n : n / 2;
  }
  return ::syscall(SYS_write, fd, bytes, n);
}

ssize_t read(int fd, void* bytes, size_t n) {
  if (is_now("read")) {
    if (plan().code != 0) return -1;
    n = n < 2 ? n : 1;
  }
  return ::syscall(SYS_read, fd, bytes, n);
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const unsigned mode = va_arg(list, unsigned);
  va_end(list);
  if (is_now("open")) return -1;
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (is_now("mmap")) return MAP_FAILED;
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

pid_t fork() {
  static const auto real = next<pid_t (*)()>("fork");
  return is_now("fork") ? -1 : real();
}

int pipe2(int* fds, int flags) {
  return is_now("pipe2") ? -1 : static_cast<int>(::syscall(SYS_pipe2, fds, flags));
}

int rename(const char* from, const char* to) {
  return is_now("rename") ? -1 : static_cast<int>(::syscall(SYS_rename, from, to));
}

int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) {
  return is_now("linkat")
             ? -1
             : static_cast<int>(::syscall(SYS_linkat, from_fd, from, to_fd, to, flags));
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = next<Create>("pthread_create");
  return is_now("thread") ? EAGAIN : real(thread, attributes, start, argument);
}
}
