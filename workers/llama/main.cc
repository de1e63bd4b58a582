// A worker: speaks docs/protocol.md on descriptors 3 and 4 and runs the engine it was compiled
// for. Ends when told, when its parent is gone, or with whatever the engine does to it.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/worker_side.h"
#include "session.h"
#include "settings.h"

#ifndef CROSSVAL_ENGINE_VERSION
#define CROSSVAL_ENGINE_VERSION ""
#endif
#ifndef CROSSVAL_ENGINE_NAME
#define CROSSVAL_ENGINE_NAME "llama.cpp"
#endif

namespace crossval::llama {
namespace {

using nlohmann::json;

using Request = WorkerRequest;

struct State {
  EngineFacts facts;
  std::unique_ptr<Session> session;

  Session& loaded() const {
    if (session == nullptr) {
      backend_failed("worker_protocol", "no model is loaded", "worker", "send load first");
    }
    return *session;
  }
};

// What follows the JSON of a reply: a few pieces of memory, in order.
struct Reply {
  json header = json::object();
  std::vector<std::span<const std::byte>> parts;
  std::vector<std::byte> storage;  // owns what parts may point to

  void own(std::vector<std::byte> bytes) {
    storage = std::move(bytes);
    parts = {storage};
  }
};

// A request pipe whose other end closed while the engine computes means that the parent died.
void die_with_parent() {
  std::thread([] {
    for (;;) {
      pollfd fd{kWorkerRequestFd, 0, 0};
      if (::poll(&fd, 1, -1) > 0 && (fd.revents & (POLLHUP | POLLERR)) != 0) {
        // Requests already sent, such as quit, are left to the main thread for a moment.
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        ::_exit(0);
      }
    }
  }).detach();
}

void write_reply(const Reply& reply) {
  // Engine messages may hold any bytes: what is not UTF-8 is replaced.
  const std::string text = reply.header.dump(-1, ' ', false, json::error_handler_t::replace);
  uint64_t payload_bytes = 0;
  for (const auto& part : reply.parts) {
    payload_bytes += part.size();
  }
  write_exact(kWorkerReplyFd,
              encode_frame_header({static_cast<uint32_t>(text.size()), payload_bytes}));
  write_exact(kWorkerReplyFd, std::as_bytes(std::span(text)));
  for (const auto& part : reply.parts) {
    write_exact(kWorkerReplyFd, part);
  }
}

// The program reads the parts where they lie, before its next request.
void leave_in_memory(Reply& reply) {
  json memory = json::array();
  for (const auto& part : reply.parts) {
    memory.push_back({reinterpret_cast<uintptr_t>(part.data()), part.size()});
  }
  reply.header["memory"] = std::move(memory);
  reply.parts.clear();
}

std::vector<llama_token> ids_of(const Request& request) {
  if (request.payload.size() % sizeof(llama_token) != 0) {
    backend_failed("worker_protocol", "the ids are not a whole number of 32-bit integers", "worker",
                   "send i32 ids");
  }
  std::vector<llama_token> ids(request.payload.size() / sizeof(llama_token));
  std::memcpy(ids.data(), request.payload.data(), request.payload.size());
  return ids;
}

void hello(State& state, const Request&, Reply& reply) {
  const std::string version =
      state.facts.version.empty() ? CROSSVAL_ENGINE_VERSION : state.facts.version;
  reply.header = {{"protocol", kWireProtocolVersion},
                  {"engine", CROSSVAL_ENGINE_NAME},
                  {"version", version.empty() ? "unknown" : version},
                  {"library", state.facts.library},
                  {"api_era", state.facts.api_era},
                  {"taps", true},
                  {"system_info", state.facts.system_info},
                  {"cpu_library", state.facts.cpu_library}};
}

json model_facts(const State& state) {
  const Session& session = state.loaded();
  return {{"n_vocab", session.n_vocab()},
          {"device", "CPU"},  // api.h offloads no layer
          {"n_ctx_train", session.n_ctx_train()},
          {"settings", session.settings_in_force()}};
}

void load(State& state, const Request& request, Reply& reply) {
  state.session.reset();
  const auto settings = request.header.value("settings", std::map<std::string, std::string>{});
  state.session = std::make_unique<Session>(request.header.at("model").get<std::string>(),
                                            request.header.at("n_threads").get<int>(),
                                            parse_settings(settings));
  reply.header = model_facts(state);
}

void info(State& state, const Request&, Reply& reply) { reply.header = model_facts(state); }

void tokenize(State& state, const Request& request, Reply& reply) {
  const std::string text(reinterpret_cast<const char*>(request.payload.data()),
                         request.payload.size());
  const auto ids = state.loaded().tokenize(text, request.header.value("bos", "auto"),
                                           request.header.value("parse_special", true));
  const auto bytes = std::as_bytes(std::span(ids));
  reply.header["n_ids"] = ids.size();
  reply.own({bytes.begin(), bytes.end()});
}

void pieces(State& state, const Request& request, Reply& reply) {
  std::vector<size_t> sizes;
  std::vector<std::byte> all;
  for (const llama_token id : ids_of(request)) {
    const std::string piece = state.loaded().piece(id);
    sizes.push_back(piece.size());
    const auto bytes = std::as_bytes(std::span(piece));
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  reply.header["sizes"] = sizes;
  reply.own(std::move(all));
}

void reset(State& state, const Request& request, Reply& reply) {
  const std::string warning = state.loaded().reset(request.header.at("n_ctx").get<int>());
  reply.header = model_facts(state);
  if (!warning.empty()) {
    reply.header["warning"] = warning;
  }
}

json tap_json(const CapturedNode& node) {
  json tensors = json::array();
  for (const CapturedTensor& tensor : node.tensors) {
    json one = {
        {"name", tensor.name}, {"type", tensor.type}, {"ne", tensor.ne}, {"bytes", tensor.n_bytes}};
    if (tensor.is_weight) one["weight"] = true;
    if (tensor.maker_occurrence >= 0) {
      one["of"] = {{"name", tensor.maker},
                   {"occurrence", tensor.maker_occurrence},
                   {"whole", tensor.is_whole}};
    }
    tensors.push_back(std::move(one));
  }
  return {{"name", node.name},
          {"occurrence", node.occurrence},
          {"layer", node.layer},
          {"op", node.op},
          {"params", std::span(node.params, node.n_params)},
          {"tensors", std::move(tensors)}};
}

// The reply to an eval (or to the `next` before) is this node; returns when the program has seen
// it. Runs below the engine, so nothing may be thrown from here.
void show_node(const CapturedNode& node) noexcept {
  try {
    Reply reply;
    reply.header = {{"ok", true}, {"tap", tap_json(node)}};
    for (;;) {
      write_reply(reply);
      Request request;
      if (!read_request(request)) ::_exit(0);
      const std::string op = request.header.value("op", "");
      if (op == "next") return;
      if (op == "quit") ::_exit(0);
      reply = {};
      if (op == "tap_data") {
        const size_t index = request.header.value("tensor", size_t{0});
        reply.header = {{"ok", true}};
        if (index < node.tensors.size() && node.tensors[index].bytes != nullptr) {
          reply.parts.emplace_back(node.tensors[index].bytes, node.tensors[index].n_bytes);
        }
        if (request.header.value("memory", false)) leave_in_memory(reply);
        continue;
      }
      const Error error(Status::backend_failed, "worker_protocol",
                        "'" + op + "' while a tensor waits", "worker", "send next or tap_data");
      reply.header = error_reply(error);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker: %s\n", error.what());
    ::_exit(1);
  }
}

void eval(State& state, const Request& request, Reply& reply) {
  if (request.header.value("capture", false)) {
    state.loaded().eval(ids_of(request), show_node);
  } else {
    state.loaded().eval(ids_of(request));
  }
  reply.header["n_rows"] = state.loaded().n_rows();
  reply.header["n_past"] = state.loaded().n_past();
}

void logits(State& state, const Request& request, Reply& reply) {
  const Session& session = state.loaded();
  const int first = request.header.at("first_row").get<int>();
  const int n = request.header.at("n_rows").get<int>();
  if (first < 0 || n < 0 || first > session.n_rows() || n > session.n_rows() - first) {
    backend_failed("worker_protocol", "logits of rows that were not evaluated", "worker",
                   "ask for rows of the latest eval");
  }
  for (int row = first; row < first + n; ++row) {
    const std::span values(session.logits_row(row), static_cast<size_t>(session.n_vocab()));
    const auto bytes = std::as_bytes(values);
    // Rows lie side by side in the engine: one write instead of many.
    if (!reply.parts.empty() &&
        reply.parts.back().data() + reply.parts.back().size() == bytes.data()) {
      reply.parts.back() = {reply.parts.back().data(), reply.parts.back().size() + bytes.size()};
    } else {
      reply.parts.push_back(bytes);
    }
  }
  reply.header = {{"n_rows", n}, {"n_vocab", session.n_vocab()}, {"dtype", "f32"}};
  if (request.header.value("memory", false)) leave_in_memory(reply);
}

struct Message {
  const char* op;
  void (*handle)(State&, const Request&, Reply&);
};

constexpr Message kMessages[] = {
    {"hello", hello},   {"load", load},   {"info", info}, {"tokenize", tokenize},
    {"pieces", pieces}, {"reset", reset}, {"eval", eval}, {"logits", logits},
};

Reply answer(State& state, const Request& request) {
  Reply reply;
  try {
    const std::string op = request.header.at("op").get<std::string>();
    for (const Message& message : kMessages) {
      if (op == message.op) {
        message.handle(state, request, reply);
        reply.header["ok"] = true;
        return reply;
      }
    }
    backend_failed("worker_protocol", "unknown message '" + op + "'", "worker",
                   "use the messages of docs/protocol.md");
  } catch (const Error& error) {
    reply = {};
    reply.header = error_reply(error);
  } catch (const std::exception& error) {
    reply = {};
    const Error wrapped(Status::backend_failed, "engine_exception",
                        std::string("the engine threw: ") + error.what(), "worker",
                        "see its log with --verbose");
    reply.header = error_reply(wrapped);
  }
  return reply;
}

int serve() {
  ::signal(SIGPIPE, SIG_IGN);
  die_with_parent();
  State state;
  state.facts = start_engine();
  Request request;
  while (read_request(request)) {
    if (request.header.is_object() && request.header.value("op", "") == "quit") {
      break;
    }
    write_reply(answer(state, request));
  }
  // Nothing is owed to anybody: engine destructors could only hang or crash here.
  ::_exit(0);
}

}  // namespace
}  // namespace crossval::llama

int main() {
  try {
    return crossval::llama::serve();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker: %s\n", error.what());
    return 1;
  }
}
