// One conversation with a worker: a request, its reply, never past a deadline; the worker's log is
// drained meanwhile. Death, silence and nonsense each become one Error, and end the worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "worker/process.h"

namespace crossval {

// What --verbose shows of a message.
struct MessageTrace {
  std::string stage;  // "eval of 512 ids"
  uint64_t sent_bytes = 0, received_bytes = 0;
  double time_ms = 0;
};
using MessageHook = std::function<void(const MessageTrace&)>;

class Channel {
 public:
  // `name` is what messages call the worker: "llama.cpp".
  Channel(const std::vector<std::string>& argv, std::string name, int timeout_ms,
          MessageHook hook = {}, const WorkerCover* cover = nullptr);
  ~Channel();

  struct Request {
    nlohmann::json header;
    std::span<const std::byte> payload = {};
    std::string stage;                     // named in errors
    uint64_t max_reply_payload_bytes = 0;  // a longer one is an Error
    std::span<std::byte> reply_into = {};  // the payload must fill exactly this, when not empty
    bool memory_allowed = false;           // set by call()
    bool quiet = false;                    // one of thousands: not told to the hook
  };
  struct Reply {
    nlohmann::json header;
    std::vector<std::byte> payload;  // empty with reply_into
  };
  // Throws the worker's own Error when the reply is one; the worker lives on then.
  Reply call(const Request& request);

  void set_name(std::string name) { name_ = std::move(name); }
  std::vector<std::string> log_tail() const;
  // The first lines of the log, different beyond numbers and quoted names, that begin with
  // "warning: " or "error: ".
  const std::vector<std::string>& warnings() const { return warnings_; }
  void drain_log();
  bool is_gone() const { return !gone_.empty(); }
  int64_t peak_rss_bytes() const { return process_->peak_rss_bytes(); }
  pid_t pid() const { return process_->pid(); }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Direction { send, receive };
  void transfer(Direction direction, std::byte* data, size_t size);
  void add_log(const char* bytes, size_t n);
  Reply exchange(const Request& request);
  void read_memory(const nlohmann::json& parts, std::span<std::byte> into);
  Reply receive(const Request& request, uint64_t& received_bytes);
  [[noreturn]] void fail_dead();
  [[noreturn]] void fail_timeout();
  [[noreturn]] void fail_nonsense(const std::string& what);
  std::string last_lines() const;
  std::string where() const;

  std::unique_ptr<ChildProcess> process_;
  std::string path_, name_;
  int timeout_ms_;
  MessageHook hook_;
  std::string stage_;  // of the call under way
  Clock::time_point deadline_;
  std::string gone_;             // why there is no worker any more
  bool memory_refused_ = false;  // reading the worker's memory failed: payloads from then on
  std::deque<std::string> log_;
  std::vector<std::string> warnings_;
  std::set<std::string> warned_;  // their skeletons
  std::string partial_line_;
};

}  // namespace crossval
