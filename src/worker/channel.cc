// Frames over non-blocking pipes with a deadline.
#include "worker/channel.h"

#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/deadline.h"
#include "base/error.h"
#include "base/json_depth.h"
#include "engine/wire.h"

namespace crossval {
namespace {

constexpr size_t kMaxLogLines = 200;
constexpr size_t kMaxLogLineBytes = 2000;
constexpr size_t kNErrorLogLines = 5;
constexpr size_t kMaxWarnings = 20;

Status status_of(const std::string& word) {
  return word == status_name(Status::bad_input) ? Status::bad_input : Status::backend_failed;
}

std::string text_at(const nlohmann::json& object, const char* key, const std::string& otherwise) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return otherwise;
  auto text = found->get<std::string>();
  return text.empty() ? otherwise : text;
}

// A line without its numbers and quoted names: engines warn of every token of a kind one by one,
// and the first of such lines says it all.
std::string skeleton(const std::string& line) {
  std::string out;
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool opens =
        (c == '\'' || c == '"') && i > 0 && (line[i - 1] == ' ' || line[i - 1] == '(');
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (opens) {
      quote = c;
    } else if (c < '0' || c > '9') {
      out += c;
    }
  }
  return out;
}

// Whether a debugger printed this line: a frame ("#3  0x00007f... in f ()"), or its own remarks.
bool is_debuggers(const std::string& line) {
  if (line.size() > 1 && line[0] == '#' && std::isdigit(static_cast<unsigned char>(line[1]))) {
    return true;
  }
  static constexpr std::string_view remarks[] = {
      "[New LWP",       "[Thread debugging", "[Inferior ", "Using host libthread_db",
      "0x0000",         "warning: process ", "ptrace: ",   "No stack.",
      "The program is", "Attaching to proc", "[Detaching", "Missing separate debuginfos"};
  return std::any_of(std::begin(remarks), std::end(remarks),
                     [&](std::string_view remark) { return line.starts_with(remark); });
}

}  // namespace

Channel::Channel(const std::vector<std::string>& argv, std::string name, int timeout_ms,
                 MessageHook hook, const WorkerCover* cover)
    : process_(ChildProcess::spawn(argv, cover)),
      path_(argv[0]),
      name_(std::move(name)),
      timeout_ms_(timeout_ms),
      hook_(std::move(hook)) {}

Channel::~Channel() {
  constexpr int grace_ms = 300;  // our own workers end at once when their requests do
  process_->finish(gone_.empty() ? grace_ms : 0);
}

void Channel::add_log(const char* bytes, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (bytes[i] != '\n') {
      if (partial_line_.size() < kMaxLogLineBytes) {
        partial_line_ += bytes[i];
      }
      continue;
    }
    if ((partial_line_.starts_with("warning: ") || partial_line_.starts_with("error: ")) &&
        warnings_.size() < kMaxWarnings && warned_.insert(skeleton(partial_line_)).second) {
      warnings_.push_back(partial_line_);
    }
    if (!partial_line_.empty()) {
      log_.push_back(std::move(partial_line_));
    }
    partial_line_.clear();
    if (log_.size() > kMaxLogLines) {
      log_.pop_front();
    }
  }
}

// At most a few MB a call, so that a worker that only talks cannot keep us here.
void Channel::drain_log() {
  char buffer[16384];
  for (int round = 0; round < 256 && process_->log_fd; ++round) {
    const ssize_t n = ::read(process_->log_fd.get(), buffer, sizeof buffer);
    if (n > 0) {
      add_log(buffer, static_cast<size_t>(n));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else {
      if (n == 0) {
        process_->log_fd.reset();
      }
      return;
    }
  }
}

std::vector<std::string> Channel::log_tail() const {
  std::vector<std::string> lines(log_.begin(), log_.end());
  if (!partial_line_.empty()) {
    lines.push_back(partial_line_);
  }
  return lines;
}

std::string Channel::last_lines() const {
  std::vector<std::string> lines = log_tail();
  // ggml starts a debugger after an assertion (ggml.c: ggml_print_backtrace): what failed is said
  // before its frames.
  std::erase_if(lines, is_debuggers);
  const size_t n = std::min(lines.size(), kNErrorLogLines);
  if (n == 0) {
    return "; it left no log";
  }
  std::string text = "; its last log lines:";
  for (size_t i = lines.size() - n; i < lines.size(); ++i) text += "\n" + lines[i];
  return text;
}

std::string Channel::where() const { return stage_ + ", worker " + path_; }

void Channel::fail_dead() {
  const ExitInfo exit = process_->finish(2000);
  drain_log();
  gone_ = name_ + " " + exit.text() + " during " + stage_;
  const std::string fix =
      exit.signal == SIGILL
          ? "the engine was built for another CPU: use another build of it, then crossval setup"
          : "see the engine's whole log with --verbose; check the backend with: crossval backends";
  backend_failed("worker_crashed", gone_ + last_lines(), where(), fix);
}

void Channel::fail_timeout() {
  process_->finish(0);
  drain_log();
  gone_ = name_ + " was not done at the run's deadline during " + stage_;
  check_run_deadline();
  gone_ = name_ + " timed out after " + std::to_string(timeout_ms_) + " ms during " + stage_ +
          " and was ended";
  backend_failed("worker_timeout", gone_ + last_lines(), where(),
                 "give it more time with --timeout SECONDS, or a shorter prompt");
}

void Channel::fail_nonsense(const std::string& what) {
  process_->finish(0);
  drain_log();
  gone_ = name_ + " broke the worker protocol during " + stage_ + ": " + what;
  backend_failed("worker_protocol", gone_ + last_lines(), where(),
                 "build the worker again with crossval setup; docs/protocol.md says what it must "
                 "speak");
}

void Channel::transfer(Direction direction, std::byte* data, size_t size) {
  const int fd =
      direction == Direction::send ? process_->request_fd.get() : process_->reply_fd.get();
  size_t done = 0;
  while (done < size) {
    const ssize_t n = direction == Direction::send ? ::write(fd, data + done, size - done)
                                                   : ::read(fd, data + done, size - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
      if (Clock::now() > deadline_) {
        fail_timeout();
      }
      continue;
    }
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n == 0 || errno != EAGAIN) {  // end of file, EPIPE: nobody is there
      fail_dead();
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) {
      fail_timeout();
    }
    pollfd fds[3] = {{fd, static_cast<short>(direction == Direction::send ? POLLOUT : POLLIN), 0},
                     {process_->log_fd.get(), POLLIN, 0},
                     {process_->exit_fd(), POLLIN, 0}};
    ::poll(fds, 3, static_cast<int>(std::min<int64_t>(left + 1, 1 << 30)));
    if (fds[1].revents != 0) {
      drain_log();
    }
    if (fds[2].revents != 0 && fds[0].revents == 0) {
      fail_dead();  // dead, though a process it started may still hold its pipes
    }
  }
}

// The worker says where the bytes lie in its own memory and waits for the next request; one copy
// instead of two and no system calls on its side. 512 x 49152 floats (100 MB), 2 cores of Zen 3:
// 29-34 ms against 104-190 ms through a pipe of 1 MiB.
void Channel::read_memory(const nlohmann::json& parts, std::span<std::byte> into) {
  size_t done = 0;
  for (const auto& part : parts) {
    if (!part.is_array() || part.size() != 2 || !part[0].is_number_unsigned() ||
        !part[1].is_number_unsigned() || part[1].get<uint64_t>() > into.size() - done) {
      fail_nonsense("\"memory\" is not a list of [address, bytes] that fills the reply");
    }
    uint64_t address = part[0].get<uint64_t>();
    for (uint64_t left = part[1].get<uint64_t>(); left > 0;) {
      const iovec local{into.data() + done, left};
      const iovec remote{reinterpret_cast<void*>(address), left};
      const ssize_t n = ::process_vm_readv(process_->pid(), &local, 1, &remote, 1, 0);
      if (n <= 0) {
        memory_refused_ = true;  // sandboxed, or an address that is not there
        return;
      }
      left -= static_cast<uint64_t>(n);
      address += static_cast<uint64_t>(n);
      done += static_cast<size_t>(n);
    }
  }
  if (done != into.size()) {
    fail_nonsense("\"memory\" names " + std::to_string(done) + " bytes, not " +
                  std::to_string(into.size()));
  }
}

Channel::Reply Channel::receive(const Request& request, uint64_t& received_bytes) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  transfer(Direction::receive, bytes.data(), bytes.size());
  FrameHeader frame;
  Reply reply;
  try {
    frame = decode_frame_header(bytes, request.max_reply_payload_bytes);
  } catch (const Error& error) {
    fail_nonsense(error.what_);
  }
  std::string text(frame.json_bytes, '\0');
  transfer(Direction::receive, reinterpret_cast<std::byte*>(text.data()), text.size());
  if (nests_too_deep(text)) {
    fail_nonsense("the reply nests more than " + std::to_string(kMaxJsonDepth) + " deep");
  }
  reply.header = nlohmann::json::parse(text, nullptr, false);
  const auto ok = reply.header.is_object() ? reply.header.find("ok") : reply.header.end();
  if (!reply.header.is_object() || ok == reply.header.end() || !ok->is_boolean()) {
    fail_nonsense("the reply is not a JSON object with \"ok\"");
  }
  const bool good = ok->get<bool>();
  const auto memory = good ? reply.header.find("memory") : reply.header.end();
  if (memory != reply.header.end() && request.memory_allowed && frame.payload_bytes == 0) {
    read_memory(*memory, request.reply_into);
  } else if (good && !request.reply_into.empty()) {
    if (frame.payload_bytes != request.reply_into.size()) {
      fail_nonsense("the reply carries " + std::to_string(frame.payload_bytes) + " bytes, not " +
                    std::to_string(request.reply_into.size()));
    }
    transfer(Direction::receive, request.reply_into.data(), request.reply_into.size());
  } else {
    // Read in pieces: memory grows with what really arrives, not with what was announced.
    constexpr uint64_t piece_bytes = 1 << 20;
    while (reply.payload.size() < frame.payload_bytes) {
      const size_t old = reply.payload.size();
      reply.payload.resize(old + std::min(piece_bytes, frame.payload_bytes - old));
      transfer(Direction::receive, reply.payload.data() + old, reply.payload.size() - old);
    }
  }
  received_bytes = kFrameHeaderBytes + frame.json_bytes +
                   (frame.payload_bytes > 0 ? frame.payload_bytes : request.reply_into.size());
  return reply;
}

Channel::Reply Channel::call(const Request& request_in) {
  Request request = request_in;
  request.memory_allowed = !request.reply_into.empty() && !memory_refused_;
  if (request.memory_allowed) {
    request.header["memory"] = true;
  }
  Reply reply = exchange(request);
  if (request.memory_allowed && memory_refused_) {
    reply = call(request_in);  // once more, through the pipe
  }
  return reply;
}

Channel::Reply Channel::exchange(const Request& request) {
  stage_ = request.stage;
  if (!gone_.empty()) {
    backend_failed("worker_gone", "there is no worker any more: " + gone_, where(),
                   "start the command again");
  }
  const auto start = Clock::now();
  deadline_ = start + std::chrono::milliseconds(bounded_by_run_deadline(timeout_ms_));
  std::string text = request.header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > kMaxFrameJsonBytes || request.payload.size() > kMaxRequestPayloadBytes) {
    bad_input("request_too_large",
              "a request of " + std::to_string(text.size() + request.payload.size()) +
                  " bytes is more than a worker takes",
              where(), "shorten the prompt");
  }
  auto frame = encode_frame_header({static_cast<uint32_t>(text.size()), request.payload.size()});
  transfer(Direction::send, frame.data(), frame.size());
  transfer(Direction::send, reinterpret_cast<std::byte*>(text.data()), text.size());
  transfer(Direction::send, const_cast<std::byte*>(request.payload.data()), request.payload.size());
  uint64_t received_bytes = 0;
  Reply reply = receive(request, received_bytes);
  drain_log();
  if (hook_ && !request.quiet) {
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    hook_({name_ + " " + stage_, frame.size() + text.size() + request.payload.size(),
           received_bytes, time.count()});
  }
  if (!reply.header["ok"].get<bool>()) {
    const auto found = reply.header.find("error");
    const nlohmann::json error =
        found != reply.header.end() && found->is_object() ? *found : nlohmann::json::object();
    throw Error(status_of(text_at(error, "status", "")), text_at(error, "code", "worker_error"),
                name_ + ": " + text_at(error, "what", "the worker reports an error without words"),
                text_at(error, "where", where()), text_at(error, "fix", "see --verbose"));
  }
  return reply;
}

}  // namespace crossval
