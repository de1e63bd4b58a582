// A real worker with one broken kernel. It stands between the program and the worker named by
// CROSSVAL_REAL_WORKER (docs/protocol.md on both sides) and, while a tensor waits to be looked at,
// damages it in the worker's own memory: whatever the engine computes next, it computes from that.
// CROSSVAL_KERNEL_FAULT says which and how: "ffn_up-1 MUL_MAT garbage". With
// CROSSVAL_KERNEL_FAULT_AFTER=N the kernel works N times in a process before it begins to fail.
// "ffn_up-1 MUL_MAT unknown" breaks nothing: the operation has a name that nobody has heard of.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/wire.h"
#include "support/worker_frames.h"

namespace {

using crossval::testing::Frame;
using crossval::testing::read_frame;
using crossval::testing::write_frame;
using nlohmann::json;

struct Worker {
  pid_t pid = -1;
  int requests = -1, replies = -1;

  Frame ask(const Frame& request) const {
    Frame reply;
    write_frame(requests, request.text, request.payload);
    if (!read_frame(replies, reply)) _exit(1);
    return reply;
  }
};

Worker start(const char* path) {
  int requests[2], replies[2];
  if (::pipe2(requests, O_CLOEXEC) != 0 || ::pipe2(replies, O_CLOEXEC) != 0) std::abort();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(requests[0], crossval::kWorkerRequestFd);
    ::dup2(replies[1], crossval::kWorkerReplyFd);
    ::execl(path, path, nullptr);
    std::perror(path);
    ::_exit(127);
  }
  ::close(requests[0]);
  ::close(replies[1]);
  return {pid, requests[1], replies[0]};
}

const char* const no_such_tensor =
    R"({"ok": false, "error": {"status": "bad_input", "code": "no_such_tensor",
        "what": "the graph has no tensor of that name and operation", "where":
        "CROSSVAL_KERNEL_FAULT", "fix": "name one that crossval trace shows"}})";

struct KernelFault {
  std::string tensor, op, kind;
};

// `row_len` values a row, one row a token (or a head of one).
void damage(std::vector<float>& values, size_t row_len, const std::string& kind) {
  const size_t column = row_len / 3, last_row = values.size() - row_len;
  for (size_t i = 0; i < values.size(); ++i) {
    if (kind == "zero") values[i] = 0;
    // What was in the memory before: other numbers of the usual size.
    if (kind == "garbage") values[i] = static_cast<float>(i * 2654435761u % 2003) / 1001.5f - 1;
    if (kind == "column" && i % row_len == column) values[i] *= 1.02f;
    if (kind == "lane" && i % 8 == 5) values[i] *= 1.001f;
    if (kind == "last_row" && i >= last_row) values[i] *= 1.01f;
    if (kind == "nan" && i == column) values[i] = std::numeric_limits<float>::quiet_NaN();
  }
}

bool inject(const Worker& worker, const KernelFault& fault, const json& tap) {
  if (tap.at("name") != fault.tensor || tap.at("op") != fault.op) return false;
  const json& out = tap.at("tensors").at(0);
  if (out.at("type") != "f32") throw std::runtime_error("only f32 results can be damaged");
  const Frame reply = worker.ask({R"({"op": "tap_data", "tensor": 0, "memory": true})", {}});
  const json where = json::parse(reply.text).at("memory").at(0);
  std::vector<float> values(where.at(1).get<size_t>() / sizeof(float));
  const iovec here = {values.data(), values.size() * sizeof(float)};
  const iovec there = {reinterpret_cast<void*>(where.at(0).get<uintptr_t>()), here.iov_len};
  if (::process_vm_readv(worker.pid, &here, 1, &there, 1, 0) < 0) std::perror("process_vm_readv");
  damage(values, out.at("ne").at(0).get<size_t>(), fault.kind);
  if (::process_vm_writev(worker.pid, &here, 1, &there, 1, 0) < 0) std::perror("process_vm_writev");
  return true;
}

}  // namespace

int main() {
  const char* real = std::getenv("CROSSVAL_REAL_WORKER");
  const char* text = std::getenv("CROSSVAL_KERNEL_FAULT");
  if (real == nullptr || text == nullptr) return 2;
  KernelFault fault;
  std::istringstream(text) >> fault.tensor >> fault.op >> fault.kind;
  const Worker worker = start(real);
  const char* after = std::getenv("CROSSVAL_KERNEL_FAULT_AFTER");
  int n_sound = after == nullptr ? 0 : std::atoi(after);
  bool is_injected = n_sound > 0;
  Frame request;
  while (read_frame(crossval::kWorkerRequestFd, request)) {
    json header = json::parse(request.text);
    header.erase("memory");  // the program would look for it in this process
    request.text = header.dump();
    if (header.at("op") == "quit") break;
    Frame reply = worker.ask(request);
    json answer = json::parse(reply.text);
    const bool is_end = header.at("op") == "next" && !answer.contains("tap");
    if (answer.contains("tap") && answer["tap"]["name"] == fault.tensor &&
        answer["tap"]["op"] == fault.op && n_sound > 0) {
      --n_sound;
    } else if (answer.contains("tap") && inject(worker, fault, answer.at("tap"))) {
      is_injected = true;
      if (fault.kind == "unknown") {
        answer["tap"]["op"] = fault.op + "_" + fault.kind;
        reply.text = answer.dump();
      }
    }
    if (is_end && !is_injected) reply.text = no_such_tensor;  // or the suite would test nothing
    write_frame(crossval::kWorkerReplyFd, reply.text, reply.payload);
  }
  write_frame(worker.requests, R"({"op": "quit"})");
  ::waitpid(worker.pid, nullptr, 0);
  return 0;
}
