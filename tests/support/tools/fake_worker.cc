// A worker that misbehaves on purpose: fake_worker MODE OP [N] does MODE when asked for OP, from
// the N-th time on where N is there, and otherwise speaks the protocol of docs/protocol.md over a
// vocabulary of bytes (256 ids), the logits of row r being r + column / 1000. Without arguments
// FAKE_WORKER_DRIFT=1 makes each eval's logits other ones than the last's: an engine that does not
// repeat itself.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/wire.h"
#include "support/worker_frames.h"

namespace {

using nlohmann::json;
constexpr int kNVocab = 256;

void send(const std::string& text, std::span<const std::byte> payload, uint64_t announced) {
  crossval::write_exact(
      crossval::kWorkerReplyFd,
      crossval::encode_frame_header({static_cast<uint32_t>(text.size()), announced}));
  crossval::write_exact(crossval::kWorkerReplyFd, std::as_bytes(std::span(text)));
  crossval::write_exact(crossval::kWorkerReplyFd, payload);
}

void misbehave(const std::string& mode) {
  std::fprintf(stderr, "about to %s\n", mode.c_str());
  const std::vector<std::byte> few(10);
  if (mode == "segv") raise(SIGSEGV);
  if (mode == "ill") raise(SIGILL);
  if (mode == "kill") raise(SIGKILL);
  if (mode == "abort") std::abort();
  if (mode == "exit") _exit(3);
  if (mode == "hang") {
    for (;;) pause();
  }
  if (mode == "garbage") {
    crossval::write_exact(crossval::kWorkerReplyFd,
                          std::as_bytes(std::span("HTTP/1.1 200 OK\n\n")));
    pause();
  }
  if (mode == "badjson") send("{\"ok\": tru", {}, 0);
  if (mode == "nook") send("[1, 2]", {}, 0);
  if (mode == "empty") send("{\"ok\": true}", {}, 0);
  if (mode == "wrongsize") send("{\"ok\": true}", few, few.size());
  if (mode == "absurd") send("{\"ok\": true}", few, 1ull << 62);
  if (mode == "truncate") {
    send("{\"ok\": true}", few, 1000);
    _exit(0);
  }
  if (mode == "error") {
    send(R"({"ok": false, "error": {"status": "bad_input", "code": "c", "what": "w", "fix": "f"}})",
         {}, 0);
  }
  if (mode == "grandchild" && fork() != 0) raise(SIGKILL);  // the child keeps the pipes open
  if (mode == "grandchild") {
    for (;;) pause();
  }
}

std::vector<std::byte> bytes_of(const auto& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

void answer(const json& request, const std::vector<std::byte>& payload, bool bad_memory) {
  static int n_rows = 0, n_evals = 0;
  static const bool drifts = std::getenv("FAKE_WORKER_DRIFT") != nullptr;
  const std::string op = request.at("op");
  json reply = {{"ok", true}};
  std::vector<std::byte> out;
  if (op == "hello") {
    reply.update({{"protocol", crossval::kWireProtocolVersion}, {"engine", "fake"}});
  } else if (op == "load" || op == "reset") {
    reply.update({{"n_vocab", kNVocab}, {"settings", {{"kind", "fake"}}}});
  } else if (op == "tokenize") {
    std::vector<int32_t> ids;
    ids.reserve(payload.size());
    for (const std::byte b : payload) ids.push_back(static_cast<int32_t>(b));
    out = bytes_of(ids);
  } else if (op == "pieces") {
    out = {payload[0]};
  } else if (op == "eval") {
    n_rows = static_cast<int>(payload.size() / sizeof(int32_t));
    n_evals += drifts ? 1 : 0;
    reply["n_rows"] = n_rows;
  } else if (op == "logits" && bad_memory && request.contains("memory")) {
    reply["memory"] = {{4096, request.at("n_rows").get<int>() * kNVocab * sizeof(float)}};
  } else if (op == "logits") {
    std::vector<float> rows;
    for (int r = 0; r < request.at("n_rows").get<int>(); ++r) {
      for (int c = 0; c < kNVocab; ++c) {
        rows.push_back(static_cast<float>(request.at("first_row").get<int>() + r) +
                       static_cast<float>(c) / 1000 + static_cast<float>(n_evals));
      }
    }
    out = bytes_of(rows);
  }
  send(reply.dump(), out, out.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "none", at = argc > 2 ? argv[2] : "";
  int n_before = argc > 3 ? std::atoi(argv[3]) - 1 : 0;
  crossval::testing::Frame frame;
  while (crossval::testing::read_frame(crossval::kWorkerRequestFd, frame)) {
    const json request = json::parse(frame.text);
    if (request.at("op") == at && n_before-- <= 0) {
      if (mode == "spam") {
        const std::string line(1000, 'x');
        for (int i = 0; i < 5000; ++i) std::fprintf(stderr, "%d %s\n", i, line.c_str());
      } else if (mode != "badmemory") {
        misbehave(mode);
        continue;
      }
    }
    answer(request, frame.payload, mode == "badmemory");
  }
  return 0;
}
