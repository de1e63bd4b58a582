// A frame is [u32 fields], then of each [u32 bytes] and the bytes; of a reply the first field says
// "ok" or "error". Lengths are checked on both sides: the child may be anyone's by then.
#include "sandbox/confined_task.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/atomic_file.h"
#include "base/deadline.h"
#include "base/error.h"
#include "sandbox/children.h"

namespace crossval {
namespace {

using Fields = ConfinedTask::Fields;

constexpr uint32_t kMaxFields = 1 << 16;
constexpr uint64_t kMaxFrameBytes = uint64_t{1} << 30;
constexpr int kChildFd = 3;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kForks = false;
#else
constexpr bool kForks = true;
#endif

bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

std::string encode(const Fields& fields) {
  std::string out;
  const auto put = [&](size_t n) {
    const auto value = static_cast<uint32_t>(n);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put(fields.size());
  for (const std::string& field : fields) {
    put(field.size());
    out += field;
  }
  return out;
}

// Fields through `read`, which gives false at the end; nullopt = not a frame.
template <typename Read>
std::optional<Fields> decode(const Read& read) {
  uint32_t n_fields = 0;
  if (!read(reinterpret_cast<char*>(&n_fields), sizeof n_fields) || n_fields > kMaxFields)
    return {};
  Fields fields;
  uint64_t total = 0;
  for (uint32_t i = 0; i < n_fields; ++i) {
    uint32_t size = 0;
    if (!read(reinterpret_cast<char*>(&size), sizeof size)) return {};
    total += size;
    if (total > kMaxFrameBytes) return {};
    std::string& field = fields.emplace_back();
    // In pieces: memory grows with what arrives, not with what was announced.
    constexpr size_t piece_bytes = 1 << 20;
    while (field.size() < size) {
      const size_t old = field.size(), more = std::min<size_t>(piece_bytes, size - old);
      field.resize(old + more);
      if (!read(field.data() + old, more)) return {};
    }
  }
  return fields;
}

Fields error_fields(const Error& error) {
  return {"error", error.code, error.what_, error.where, error.fix};
}

Fields answer(const std::function<Fields()>& body) {
  try {
    Fields fields = body();
    fields.insert(fields.begin(), "ok");
    return fields;
  } catch (const Error& error) {
    return error_fields(error);
  } catch (const std::bad_alloc&) {
    return {"gone", "needed more memory than it may have"};
  } catch (const std::exception& error) {
    return {"gone", std::string("failed: ") + error.what()};
  }
}

// The child's whole life behind fork.
void serve(int socket, const std::function<ConfinedTask::Serve()>& open,
           const PreparedRights& rights) {
  const int null_fd = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(null_fd, fd);
  if (rights.enter() != 0) ::_exit(126);  // holds a descriptor of its own until then
  ::dup2(socket, kChildFd);
#ifdef SYS_close_range
  ::syscall(SYS_close_range, kChildFd + 1, ~0u, 0);
#endif
  ConfinedTask::Serve answer_one;
  Fields failed;
  bool is_open = false;
  for (;;) {
    const auto request =
        decode([](char* data, size_t size) { return read_all(kChildFd, data, size); });
    if (!request) ::_exit(0);
    if (!is_open) {
      is_open = true;
      failed = answer([&] {
        answer_one = open();
        return Fields();
      });
    }
    const std::string reply =
        encode(answer_one ? answer([&] { return answer_one(*request); }) : failed);
    if (!write_all(kChildFd, reply.data(), reply.size())) ::_exit(0);
  }
}

}  // namespace

ConfinedTask::ConfinedTask(std::function<Serve()> open, const Rights& rights) {
  if (!kForks) {
    open_ = std::move(open);
    return;
  }
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    gone_ = std::string("could not start: ") + std::strerror(errno);
    return;
  }
  socket_.reset(ends[0]);
  const UniqueFd child_end(ends[1]);
  Rights alone = rights;
  alone.starts_processes = false;
  const PreparedRights prepared(alone);
  pid_ = fork_for_life([&] { serve(child_end.get(), open, prepared); });
  if (pid_ < 0) gone_ = std::string("could not start: ") + std::strerror(errno);
  ::fcntl(socket_.get(), F_SETFL, ::fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

ConfinedTask::~ConfinedTask() { end(); }

int ConfinedTask::end() { return pid_ > 0 ? end_child(std::exchange(pid_, -1)) : 0; }

void ConfinedTask::fail(const std::string& why, const Failure& failure) {
  gone_ = why;
  end();
  bad_input(failure.code, failure.what + " " + gone_, failure.where, failure.fix);
}

bool ConfinedTask::transfer(bool is_sending, char* data, size_t size, const Failure& failure) {
  while (size > 0) {
    const ssize_t n = is_sending ? ::send(socket_.get(), data, size, MSG_NOSIGNAL)
                                 : ::read(socket_.get(), data, size);
    if (n > 0) {
      data += n;
      size -= static_cast<size_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 || errno != EAGAIN) return false;
    const auto left = timeout_ms_ - static_cast<int64_t>(watch_.elapsed_ms());
    if (left <= 0) {
      check_run_deadline();
      fail(fmt::format("did not end within {} ms and was stopped", timeout_ms_), failure);
    }
    pollfd fd{socket_.get(), static_cast<short>(is_sending ? POLLOUT : POLLIN), 0};
    ::poll(&fd, 1, static_cast<int>(std::min<int64_t>(left, 1000)));
  }
  return true;
}

ConfinedTask::Fields ConfinedTask::call(const Fields& request, int timeout_ms,
                                        const Failure& failure) {
  if (!kForks) {
    if (!serve_) serve_ = open_();
    return serve_(request);
  }
  if (!gone_.empty()) fail(gone_, failure);
  std::string frame = encode(request);
  const auto dead = [&] {
    // Whatever it was killed by: a fault of memory, its bounds, an abort of a library.
    const int status = end();
    fail(WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL
             ? fmt::format("brought down the process it ran in ({})", ::strsignal(WTERMSIG(status)))
             : "ended the process it ran in",
         failure);
  };
  watch_ = {};
  timeout_ms_ = bounded_by_run_deadline(timeout_ms);
  if (!transfer(true, frame.data(), frame.size(), failure)) dead();
  auto reply =
      decode([&](char* data, size_t size) { return transfer(false, data, size, failure); });
  if (!reply) dead();
  if (reply->empty()) fail("answered nothing", failure);
  const std::string kind = reply->front();
  reply->erase(reply->begin());
  if (kind == "ok") return std::move(*reply);
  if (kind == "error" && reply->size() == 4) {
    throw Error(Status::bad_input, (*reply)[0], (*reply)[1], (*reply)[2], (*reply)[3]);
  }
  fail(kind == "gone" && reply->size() == 1 ? reply->front() : "answered nonsense", failure);
}

}  // namespace crossval
