#include "support/misbehave.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string_view>

#include "engine/wire.h"

namespace crossval::testing {
namespace {

using nlohmann::json;
using Argument = const std::string&;
using Act = std::function<void(const WorkerReply&, Argument)>;

constexpr const char* kEscapes = "\x1b[2J\x1b]0;owned\x07 <script>alert(1)</script> \xe2\x80\xae";

void write_all(std::string_view bytes) {
  write_exact(kWorkerReplyFd, std::as_bytes(std::span(bytes)));
}

std::string frame(const std::string& text, std::span<const std::byte> payload, uint64_t announced) {
  const auto header = encode_frame_header({static_cast<uint32_t>(text.size()), announced});
  std::string bytes(reinterpret_cast<const char*>(header.data()), header.size());
  bytes += text;
  return bytes.append(reinterpret_cast<const char*>(payload.data()), payload.size());
}

std::string frame(const WorkerReply& reply) {
  return frame(reply.header.dump(), reply.payload, reply.payload.size());
}

void say(const std::string& text, const std::vector<std::byte>& payload = {}) {
  write_all(frame(text, payload, payload.size()));
}

[[noreturn]] void wait_for_ever() {
  for (;;) pause();
}

[[noreturn]] void die_by(int number) {
  ::signal(number, SIG_DFL);
  ::raise(number);
  wait_for_ever();
}

void log_for_ever(const std::string& piece) {
  while (::write(STDERR_FILENO, piece.data(), piece.size()) > 0) {
  }
}

// A byte at a time, for longer than anybody waits.
void drip(const std::string& bytes, useconds_t pause_us) {
  for (const char& byte : bytes) {
    write_all({&byte, 1});
    ::usleep(pause_us);
  }
}

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') +
         std::string(static_cast<size_t>(depth), ']');
}

// The honest header with more text before its end.
std::string with(const WorkerReply& honest, const std::string& more) {
  std::string text = honest.header.dump();
  text.pop_back();
  return text + "," + more + "}";
}

std::vector<std::byte> from_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

void send_resized(const WorkerReply& honest, int by) {
  auto payload = honest.payload;
  payload.resize(static_cast<size_t>(std::max<int64_t>(0, std::ssize(payload) + by)));
  send({honest.header, payload});
}

void send_error(const json& error) { say(json{{"ok", false}, {"error", error}}.dump()); }

json words(const std::string& what) {
  return {{"status", "bad_input"}, {"code", "c"}, {"what", what}, {"where", "h"}, {"fix", "f"}};
}

// Where it says that the payload lies in its memory.
void send_own_memory(const WorkerReply& honest, const std::string& kind) {
  static std::vector<std::byte> kept;  // until the next request
  kept = honest.payload;
  const auto at = reinterpret_cast<uint64_t>(kept.data());
  const uint64_t n = kept.size(), half = n / 2;
  json parts = json::array();
  if (kind == "whole") parts = {{at, n}};
  if (kind == "halves") parts = {{at, half}, {at + half, n - half}};
  if (kind == "short") parts = {{at, n - 4}};
  if (kind == "long") parts = {{at, n + 4}};
  if (kind == "nowhere") parts = {{at, half}, {1, n - half}};
  if (kind == "pieces") {
    for (uint64_t i = 0; i < n; ++i) parts.push_back({at + i, 1});
  }
  if (kind == "nothings") {
    for (int i = 0; i < 200'000; ++i) parts.push_back({at, 0});
    parts.push_back({at, n});
  }
  json header = honest.header;
  header["memory"] = parts;
  send({header, {}});
}

// In another session, with all that it has open; gone when `then` is done.
void start_daemon(const std::function<void()>& then) {
  if (::fork() != 0) return;
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  then();
  ::_exit(0);
}

void stop_by_child() {
  const pid_t parent = ::getpid();
  if (::fork() == 0) {
    ::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr);
    ::ptrace(PTRACE_INTERRUPT, parent, nullptr, nullptr);
    wait_for_ever();
  }
  ::sleep(1);
  wait_for_ever();
}

const std::map<std::string, Act>& deaths_and_frames() {
  static const std::map<std::string, Act> table = {
      {"segv", [](auto&, auto&) { die_by(SIGSEGV); }},
      {"ill", [](auto&, auto&) { die_by(SIGILL); }},
      {"kill", [](auto&, auto&) { die_by(SIGKILL); }},
      {"abort", [](auto&, auto&) { std::abort(); }},
      {"exit", [](auto&, auto&) { ::_exit(3); }},
      {"signal", [](auto&, Argument n) { die_by(std::stoi(n)); }},
      {"after",
       [](auto& honest, Argument n) {
         send(honest);
         die_by(std::stoi(n));
       }},
      {"hang", [](auto&, auto&) { wait_for_ever(); }},
      {"spin",
       [](auto&, auto&) {
         for (;;) ::getppid();
       }},
      {"garbage",
       [](auto&, auto&) {
         write_all("HTTP/1.1 200 OK\n\n");
         wait_for_ever();
       }},
      {"text", [](auto&, auto&) { write_all("Segmentation fault (core dumped)\n"); }},
      {"zeros", [](auto&, auto&) { write_all(std::string(4096, '\0')); }},
      {"magic", [](auto& honest, auto&) { write_all("XVX" + frame(honest).substr(3)); }},
      {"version", [](auto& honest, auto&) { write_all("XVW\x02" + frame(honest).substr(4)); }},
      {"absurd", [](auto&, auto&) { write_all(frame("{\"ok\": true}", {}, 1ull << 62)); }},
      {"most", [](auto&, auto&) { write_all(frame("{\"ok\": true}", {}, ~uint64_t{0})); }},
      {"gib",
       [](auto& honest, auto&) {
         write_all(frame(honest.header.dump(), {}, 1 << 30));
         wait_for_ever();
       }},
      {"json",
       [](auto& honest, Argument n) {
         const std::string start = with(honest, R"("x":")");
         const size_t filling = std::stoul(n) - start.size() - 1;
         say(start.substr(0, start.size() - 1) + std::string(filling, 'x') + "\"}", honest.payload);
       }},
      {"announce",
       [](auto&, Argument n) {
         const auto bytes = static_cast<uint32_t>(std::stoul(n));
         const auto header = encode_frame_header({bytes, 0});
         write_exact(kWorkerReplyFd, header);
         wait_for_ever();
       }},
      {"cut",
       [](auto& honest, Argument n) {
         write_all(frame(honest).substr(0, std::stoul(n)));
         ::_exit(0);
       }},
      {"cut_hang",
       [](auto& honest, Argument n) {
         write_all(frame(honest).substr(0, std::stoul(n)));
         wait_for_ever();
       }},
      {"truncate",
       [](auto&, auto&) {
         write_all(frame("{\"ok\": true}", std::vector<std::byte>(10), 1000));
         ::_exit(0);
       }},
      {"drip",
       [](auto& honest, auto&) {
         const std::string bytes = frame(honest);
         drip(bytes.substr(0, 300), 500);
         write_all(std::string_view(bytes).substr(std::min<size_t>(300, bytes.size())));
       }},
      {"drip_forever",
       [](auto& honest, auto&) {
         write_all(frame(honest.header.dump(), {}, 1 << 20));
         drip(std::string(1 << 20, '?'), 20'000);
       }},
  };
  return table;
}

const std::map<std::string, Act>& texts() {
  static const std::map<std::string, Act> table = {
      {"badjson", [](auto&, auto&) { say("{\"ok\": tru"); }},
      {"nook", [](auto&, auto&) { say("[1, 2]"); }},
      {"empty", [](auto&, auto&) { say("{\"ok\": true}"); }},
      {"no_json", [](auto& honest, auto&) { say("", honest.payload); }},
      {"null", [](auto& honest, auto&) { say("null", honest.payload); }},
      {"utf8", [](auto&, auto&) { say("{\"ok\": true, \"engine\": \"\xff\xfe\xc0\x80\"}"); }},
      {"nul", [](auto&, auto&) { say(std::string("{\"ok\": true, \"x\": \"a\0b\"}", 23)); }},
      {"twice_ok",
       [](auto& honest, auto&) {
         say("{\"ok\":false," + honest.header.dump().substr(1), honest.payload);
       }},
      {"ok_text", [](auto&, auto&) { say("{\"ok\": \"yes\"}"); }},
      {"no_ok", [](auto&, auto&) { say("{\"protocol\": 1, \"n_vocab\": 256}"); }},
      {"deep",
       [](auto& honest, Argument n) {
         say(with(honest, "\"x\":" + nested(std::stoi(n))), honest.payload);
       }},
      {"error", [](auto&, auto&) { send_error(words("w")); }},
      {"error_none", [](auto&, auto&) { say("{\"ok\": false}"); }},
      {"error_text", [](auto&, auto&) { send_error("boom"); }},
      {"error_kinds",
       [](auto&, auto&) {
         send_error({{"status", 7}, {"code", json::array()}, {"what", json::object()}, {"fix", 3}});
       }},
      {"error_agree",
       [](auto&, auto&) {
         json error = words("w");
         error["status"] = "agree";
         send_error(error);
       }},
      {"error_escapes", [](auto&, auto&) { send_error(words(kEscapes)); }},
      {"error_empty",
       [](auto&, auto&) {
         send_error(
             {{"status", "bad_input"}, {"code", ""}, {"what", ""}, {"where", ""}, {"fix", ""}});
       }},
      {"error_huge", [](auto&, auto&) { send_error(words(std::string(1'000'000, 'w'))); }},
      {"error_payload",
       [](auto&, auto&) {
         say(json{{"ok", false}, {"error", words("w")}}.dump(), std::vector<std::byte>(1000));
       }},
      {"set",
       [](auto& honest, Argument what) {
         json header = honest.header;
         const size_t equals = what.find('=');
         header[json::json_pointer(what.substr(0, equals))] = json::parse(what.substr(equals + 1));
         send({header, honest.payload});
       }},
  };
  return table;
}

const std::map<std::string, Act>& payloads() {
  static const std::map<std::string, Act> table = {
      {"wrongsize", [](auto&, auto&) { say("{\"ok\": true}", std::vector<std::byte>(10)); }},
      {"more", [](auto& honest, auto&) { send_resized(honest, 4); }},
      {"less", [](auto& honest, auto&) { send_resized(honest, -4); }},
      {"odd", [](auto& honest, auto&) { send_resized(honest, 1); }},
      {"none",
       [](auto& honest, auto&) {
         send({honest.header, {}});
       }},
      {"fill",
       [](auto& honest, Argument hex) {
         const auto pattern = from_hex(hex);
         auto payload = honest.payload;
         for (size_t i = 0; i < payload.size(); ++i) payload[i] = pattern[i % pattern.size()];
         send({honest.header, payload});
       }},
      {"payload",
       [](auto& honest, Argument hex) {
         send({honest.header, from_hex(hex)});
       }},
      {"ids",
       [](auto& honest, Argument n) {
         send({honest.header, std::vector<std::byte>(4 * std::stoul(n))});
       }},
      {"memory",
       [](auto& honest, Argument text) {
         json header = honest.header;
         header["memory"] = json::parse(text);
         send({header, {}});
       }},
      {"own_memory", [](auto& honest, Argument kind) { send_own_memory(honest, kind); }},
      {"double",
       [](auto& honest, auto&) {
         send(honest);
         send(honest);
       }},
      {"flood_replies",
       [](auto& honest, auto&) {
         for (;;) send(honest);
       }},
  };
  return table;
}

const std::map<std::string, Act>& logs_and_processes() {
  static const std::map<std::string, Act> table = {
      {"flood", [](auto&, auto&) { log_for_ever(std::string(65536, 'x')); }},
      {"flood_lines", [](auto&, auto&) { log_for_ever(std::string(65536, '\n')); }},
      {"log_escapes",
       [](auto& honest, auto&) {
         std::fprintf(stderr, "warning: %s \xff\xfe\n", kEscapes);
         send(honest);
       }},
      {"log_escapes_exit",
       [](auto&, auto&) {
         std::fprintf(stderr, "error: %s \xff\xfe\n", kEscapes);
         ::_exit(1);
       }},
      {"close_log",
       [](auto& honest, auto&) {
         ::close(1);
         ::close(2);
         send(honest);
       }},
      {"close_reply",
       [](auto&, auto&) {
         ::close(kWorkerReplyFd);
         wait_for_ever();
       }},
      {"close_requests",
       [](auto& honest, auto&) {
         ::close(kWorkerRequestFd);
         send(honest);
         wait_for_ever();
       }},
      {"close_all",
       [](auto&, auto&) {
         for (int fd = 0; fd < 16; ++fd) ::close(fd);
         wait_for_ever();
       }},
      // The child keeps the pipes open.
      {"grandchild",
       [](auto&, auto&) {
         if (::fork() == 0) wait_for_ever();
         ::raise(SIGKILL);
       }},
      {"daemon",
       [](auto& honest, auto&) {
         start_daemon(wait_for_ever);
         send(honest);
       }},
      {"daemon_exit",
       [](auto&, auto&) {
         start_daemon(wait_for_ever);
         ::_exit(5);
       }},
      {"writer",
       [](auto&, auto&) {
         start_daemon([] {
           for (;;) write_all(std::string(65536, 'Z'));
         });
         ::_exit(5);
       }},
      {"bomb",
       [](auto&, auto&) {
         for (int i = 0; i < 200; ++i) start_daemon(wait_for_ever);
         wait_for_ever();
       }},
      {"group",
       [](auto&, auto&) {
         ::setpgid(0, ::getpgid(::getppid()));
         wait_for_ever();
       }},
      {"session",
       [](auto&, auto&) {
         start_daemon(wait_for_ever);
         ::setsid();
         wait_for_ever();
       }},
      {"traced", [](auto&, auto&) { stop_by_child(); }},
      {"stop_parent",
       [](auto& honest, auto&) {
         ::kill(::getppid(), SIGSTOP);
         send(honest);
       }},
  };
  return table;
}

}  // namespace

void send(const WorkerReply& reply) { write_all(frame(reply)); }

bool misbehave(const std::string& mode, const WorkerReply& honest) {
  const size_t colon = mode.find(':');
  const std::string word = mode.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : mode.substr(colon + 1);
  for (const auto* table : {&deaths_and_frames(), &texts(), &payloads(), &logs_and_processes()}) {
    const auto found = table->find(word);
    if (found == table->end()) continue;
    std::fprintf(stderr, "about to %s\n", mode.c_str());
    found->second(honest, argument);
    return true;
  }
  return false;
}

}  // namespace crossval::testing
