// A worker that misbehaves on purpose: fake_worker MODE OP [N] does MODE (support/misbehave.h, or
// one of below) when asked for OP, from the N-th time on where N is there, and otherwise speaks the
// protocol of docs/protocol.md over a vocabulary of bytes (256 ids), the logits of row r being r +
// column / 1000. FAKE_WORKER_DRIFT=1 makes each eval's logits other ones than the last's: an engine
// that does not repeat itself. FAKE_WORKER_TAPS=1: an eval that captures shows two tensors.
// FAKE_WORKER_TOPS=1: it gives the two likeliest tokens of a row alone.
//   spam       5 MB of log, then the answer
//   stale      the answer to the request before
//   badmemory  logits in a memory that nobody can read
//   endless    of `next`: the same tensor for ever; endless_names: always another one
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/wire.h"
#include "support/misbehave.h"
#include "support/worker_frames.h"

namespace {

using crossval::testing::WorkerReply;
using nlohmann::json;
constexpr int kNVocab = 256, kNEmbd = 64;  // of support/tiny_model.h

std::vector<std::byte> bytes_of(const auto& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

bool is_set(const char* variable) { return std::getenv(variable) != nullptr; }

// Of an operation that is true of all models: nothing times their weights.
json tap(const std::string& name, int n_rows) {
  const json ne = {kNEmbd, n_rows, 1, 1};
  const size_t n_bytes = sizeof(float) * kNEmbd * static_cast<size_t>(n_rows);
  return {{"name", name},
          {"occurrence", 0},
          {"layer", 0},
          {"op", "MUL"},
          {"params", json::array({0, 0, 0, 0})},
          {"tensors",
           {{{"name", name}, {"type", "f32"}, {"ne", ne}, {"bytes", n_bytes}},
            {{"name", "norm-0"}, {"type", "f32"}, {"ne", ne}, {"bytes", n_bytes}},
            {{"name", "blk.0.attn_norm.weight"},
             {"type", "f32"},
             {"ne", {kNEmbd, 1, 1, 1}},
             {"bytes", 0},
             {"weight", true}}}}};
}

class Conversation {
 public:
  WorkerReply answer(const json& request, const std::vector<std::byte>& payload) {
    const std::string op = request.at("op");
    WorkerReply reply{{{"ok", true}}, {}};
    if (op == "hello") {
      reply.header.update({{"protocol", crossval::kWireProtocolVersion}, {"engine", "fake"}});
      if (is_set("FAKE_WORKER_TAPS")) reply.header["taps"] = true;
    } else if (op == "load" || op == "reset") {
      reply.header.update({{"n_vocab", kNVocab}, {"settings", {{"kind", "fake"}}}});
      if (is_set("FAKE_WORKER_TOPS")) reply.header["n_top"] = 2;
    } else if (op == "tokenize") {
      std::vector<int32_t> ids;
      ids.reserve(payload.size());
      for (const std::byte b : payload) ids.push_back(static_cast<int32_t>(b));
      reply.payload = bytes_of(ids);
    } else if (op == "pieces") {
      reply.payload = {payload[0]};
    } else if (op == "eval") {
      n_rows_ = static_cast<int>(payload.size() / sizeof(int32_t));
      n_evals_ += is_set("FAKE_WORKER_DRIFT") ? 1 : 0;
      n_taps_left_ = request.contains("capture") ? 2 : 0;
      show(reply);
    } else if (op == "next") {
      show(reply);
    } else if (op == "tap_data") {
      reply.payload.resize(sizeof(float) * kNEmbd * static_cast<size_t>(n_rows_));
    } else if (op == "logits") {
      reply.payload = bytes_of(logits(request));
    } else if (op == "top") {
      for (int r = 0; r < request.at("n_rows").get<int>(); ++r) {
        reply.header["counts"].push_back(2);
        for (const auto& [id, logprob] : {std::pair(kNVocab - 1, -0.5f), {kNVocab - 2, -1.5f}}) {
          const auto one = bytes_of(std::vector<int32_t>{id}),
                     other = bytes_of(std::vector<float>{logprob});
          reply.payload.insert(reply.payload.end(), one.begin(), one.end());
          reply.payload.insert(reply.payload.end(), other.begin(), other.end());
        }
      }
    }
    return reply;
  }

  json next_tap(const std::string& name) const { return tap(name, n_rows_); }

 private:
  void show(WorkerReply& reply) {
    if (n_taps_left_ == 0) {
      reply.header["n_rows"] = n_rows_;
    } else {
      reply.header["tap"] = tap(n_taps_left_ == 2 ? "attn_norm-0" : "ffn_norm-0", n_rows_);
      --n_taps_left_;
    }
  }

  std::vector<float> logits(const json& request) const {
    std::vector<float> rows;
    for (int r = 0; r < request.at("n_rows").get<int>(); ++r) {
      for (int c = 0; c < kNVocab; ++c) {
        rows.push_back(static_cast<float>(request.at("first_row").get<int>() + r) +
                       static_cast<float>(c) / 1000 + static_cast<float>(n_evals_));
      }
    }
    return rows;
  }

  int n_rows_ = 0, n_evals_ = 0, n_taps_left_ = 0;
};

// False: nobody knows that word.
bool act(const std::string& mode, const json& request, const Conversation& conversation,
         const WorkerReply& honest, const WorkerReply& before) {
  static int n_endless = 0;
  WorkerReply reply = honest;
  const auto announce = [&] { std::fprintf(stderr, "about to %s\n", mode.c_str()); };
  if (mode == "spam") {
    announce();
    const std::string line(1000, 'x');
    for (int i = 0; i < 5000; ++i) std::fprintf(stderr, "%d %s\n", i, line.c_str());
  } else if (mode == "stale") {
    reply = before;
  } else if (mode == "badmemory") {
    if (request.contains("memory")) {
      reply.header["memory"] = {{4096, reply.payload.size()}};
      reply.payload.clear();
    }
  } else if (mode.starts_with("endless")) {
    const std::string number = mode == "endless" ? "0" : std::to_string(n_endless++);
    reply.header = {{"ok", true}, {"tap", conversation.next_tap("attn_norm-" + number)}};
  } else {
    return crossval::testing::misbehave(mode, honest);
  }
  if (n_endless < 2 && mode != "spam") announce();
  crossval::testing::send(reply);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "none", at = argc > 2 ? argv[2] : "";
  int n_before = argc > 3 ? std::atoi(argv[3]) - 1 : 0;
  crossval::testing::Frame frame;
  Conversation conversation;
  WorkerReply before{{{"ok", true}}, {}};
  while (crossval::testing::read_frame(crossval::kWorkerRequestFd, frame)) {
    const json request = json::parse(frame.text);
    const WorkerReply honest = conversation.answer(request, frame.payload);
    if (request.at("op") == at && n_before-- <= 0) {
      if (!act(mode, request, conversation, honest, before)) {
        std::fprintf(stderr, "fake_worker: what is %s?\n", mode.c_str());
        return 2;
      }
    } else {
      crossval::testing::send(honest);
    }
    before = honest;
  }
  return 0;
}
