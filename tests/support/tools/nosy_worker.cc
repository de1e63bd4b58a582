// A worker that tries what no worker has to do, and tells in its settings what came of each
// attempt: "done", or why not. NOSY_HOME names the home it looks into. Otherwise it speaks the
// protocol. Those above it are its keeper, which is its parent, and the program.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/wire.h"
#include "support/worker_frames.h"

namespace {

using nlohmann::json;
constexpr int kNVocab = 256;

std::string outcome(bool worked) { return worked ? "done" : std::strerror(errno); }

std::string open_as(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  const std::string words = outcome(fd >= 0);
  if (fd >= 0) ::close(fd);
  return words;
}

// Some address of another process, from our own list.
std::string open_memory(pid_t of, bool is_write) {
  const int fd = ::open(("/proc/" + std::to_string(of) + "/mem").c_str(),
                        (is_write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    return "done";
  }
  int here = 0;
  iovec local{&here, sizeof here}, remote{&here, sizeof here};
  const ssize_t n = is_write ? ::process_vm_writev(of, &local, 1, &remote, 1, 0)
                             : ::process_vm_readv(of, &local, 1, &remote, 1, 0);
  return outcome(n > 0);
}

pid_t parent_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (word == "PPid:" && status >> pid) return pid;
  }
  return -1;
}

// Out of our own namespaces nobody would be seen or killed.
std::string new_namespace(unsigned long flags) {
  const long pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(0);
  return outcome(pid > 0);
}

std::string seize(pid_t pid) {
  const std::string words = outcome(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0);
  if (words == "done") {  // it would stop at its next signal
    ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr);
    ::waitpid(pid, nullptr, __WALL);
    ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  }
  return words;
}

void reach_into(pid_t pid, const std::string& whom, json& out) {
  out["read_memory_of_" + whom] = open_memory(pid, false);
  out["write_memory_of_" + whom] = open_memory(pid, true);
  out["ptrace_" + whom] = seize(pid);
  out["signal_" + whom] = outcome(::kill(pid, 0) == 0);
  out["read_environment_of_" + whom] =
      open_as("/proc/" + std::to_string(pid) + "/environ", O_RDONLY);
}

json attempts() {
  const char* home_variable = std::getenv("NOSY_HOME");
  const std::string home = home_variable == nullptr ? "/root" : home_variable;
  json out;
  const int socket_fd = ::socket(AF_INET, SOCK_STREAM, 0);
  out["socket"] = outcome(socket_fd >= 0);
  out["read_key"] = open_as(home + "/.ssh/id", O_RDONLY);
  out["read_plain"] = open_as(home + "/plain", O_RDONLY);
  out["write_home"] = open_as(home + "/new", O_WRONLY | O_CREAT);
  out["write_tmp"] =
      open_as("/tmp/crossval-nosy-" + std::to_string(::getpid()), O_WRONLY | O_CREAT);
  ::unlink(("/tmp/crossval-nosy-" + std::to_string(::getpid())).c_str());
  reach_into(::getppid(), "keeper", out);
  reach_into(parent_of(::getppid()), "program", out);
  out["new_user"] = new_namespace(CLONE_NEWUSER);
  out["new_processes"] = new_namespace(CLONE_NEWUSER | CLONE_NEWPID);
  out["new_privileges"] = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? "given up" : "done";
  out["see_secret"] = std::getenv("MY_SECRET") != nullptr ? "done" : "not there";
  out["see_setting"] = std::getenv("MY_SETTING") != nullptr ? "done" : "not there";
  return out;
}

void answer(const json& request, const std::vector<std::byte>& payload) {
  const std::string op = request.at("op");
  json reply = {{"ok", true}};
  std::vector<float> rows;
  if (op == "hello") {
    reply.update({{"protocol", crossval::kWireProtocolVersion}, {"engine", "nosy"}});
  } else if (op == "load" || op == "reset") {
    reply.update({{"n_vocab", kNVocab}, {"settings", {{"attempts", attempts().dump()}}}});
  } else if (op == "eval") {
    reply["n_rows"] = payload.size() / sizeof(int32_t);
  } else if (op == "logits") {
    const auto n_rows = request.at("n_rows").get<size_t>();
    for (size_t i = 0; i < n_rows * kNVocab; ++i) rows.push_back(static_cast<float>(i % 7));
  }
  crossval::testing::write_frame(crossval::kWorkerReplyFd, reply.dump(),
                                 std::as_bytes(std::span(rows)));
}

}  // namespace

int main() {
  crossval::testing::Frame frame;
  while (crossval::testing::read_frame(crossval::kWorkerRequestFd, frame)) {
    answer(json::parse(frame.text), frame.payload);
  }
  return 0;
}
