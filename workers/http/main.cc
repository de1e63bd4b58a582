// A worker that computes nothing: speaks docs/protocol.md on descriptors 3 and 4, and HTTP to the
// one server that its only argument names. The key comes from the environment.
#include <signal.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/server_url.h"
#include "client.h"
#include "dialect.h"
#include "engine/worker_side.h"
#include "settings.h"

namespace crossval::http {
namespace {

using nlohmann::json;

using Request = WorkerRequest;
struct Reply {
  json header = json::object();
  std::vector<std::byte> payload;
};

struct State {
  std::unique_ptr<Client> client;
  std::unique_ptr<Dialect> dialect;
  json facts;  // the reply to `load`
  int n_top = 0;
  std::vector<TokenId> ids;  // since the reset
  size_t n_before = 0;       // of them, those before the latest eval
  size_t first_kept = 0;     // position of the first of `kept`
  std::vector<TopRow> kept;  // rows of the latest eval, as many as came at once

  Dialect& server() const {
    if (dialect == nullptr || facts.is_null()) {
      backend_failed("worker_protocol", "no model is loaded", "worker", "send load first");
    }
    return *dialect;
  }
};

void write_reply(const Reply& reply) {
  const std::string text = reply.header.dump(-1, ' ', false, json::error_handler_t::replace);
  write_exact(kWorkerReplyFd,
              encode_frame_header({static_cast<uint32_t>(text.size()), reply.payload.size()}));
  write_exact(kWorkerReplyFd, std::as_bytes(std::span(text)));
  if (!reply.payload.empty()) write_exact(kWorkerReplyFd, reply.payload);
}

template <class T>
void append(std::vector<std::byte>& payload, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  payload.insert(payload.end(), bytes.begin(), bytes.end());
}

std::vector<TokenId> ids_of(const Request& request) {
  std::vector<TokenId> ids(request.payload.size() / sizeof(TokenId));
  if (!ids.empty()) std::memcpy(ids.data(), request.payload.data(), ids.size() * sizeof(TokenId));
  return ids;
}

std::string text_of(const Request& request) {
  return {reinterpret_cast<const char*>(request.payload.data()), request.payload.size()};
}

// `load` is the first to ask the server: its settings say how long that may take.
void hello(State&, const Request&, Reply& reply) {
  reply.header = {{"protocol", kWireProtocolVersion}, {"engine", "server"}};
}

void load(State& state, const Request& request, Reply& reply) {
  const AllSettings settings =
      parse_settings(request.header.value("settings", std::map<std::string, std::string>{}));
  state.client->set_timeout(settings.timeout);
  state.dialect = recognise(*state.client);
  ModelFacts model = state.dialect->load(settings.dialect);
  state.n_top = settings.dialect.n_top;
  model.settings.insert(settings.said.begin(), settings.said.end());
  model.settings["top"] = std::to_string(state.n_top);
  const ServerFacts& facts = state.dialect->facts();
  state.facts = {
      {"engine", facts.engine}, {"version", facts.version},  {"tokenizes", facts.tokenizes},
      {"pieces", false},        {"renders", facts.renders},  {"vocabulary", facts.needs_vocabulary},
      {"model", model.model},   {"n_vocab", model.n_vocab},  {"n_ctx_train", model.n_ctx_train},
      {"n_top", state.n_top},   {"settings", model.settings}};
  reply.header = state.facts;
}

void info(State& state, const Request&, Reply& reply) {
  state.server();
  reply.header = state.facts;
}

void vocabulary(State& state, const Request& request, Reply&) {
  std::vector<std::string> pieces;
  const std::string all = text_of(request);
  size_t at = 0;
  for (const size_t size : request.header.at("sizes").get<std::vector<size_t>>()) {
    if (size > all.size() - at) {
      backend_failed("worker_protocol", "sizes of pieces beyond the payload", "worker",
                     "send both");
    }
    pieces.push_back(all.substr(at, size));
    at += size;
  }
  state.server().set_vocabulary(Vocabulary(std::move(pieces)));
}

void tokenize(State& state, const Request& request, Reply& reply) {
  const std::string word = request.header.value("bos", "auto");
  const Bos bos = word == "on" ? Bos::on : word == "off" ? Bos::off : Bos::automatic;
  const std::vector<TokenId> ids =
      state.server().tokenize(text_of(request), bos, request.header.value("parse_special", true));
  append(reply.payload, std::span(ids));
}

void render(State& state, const Request& request, Reply& reply) {
  const auto text = state.server().render(request.header.at("messages"));
  if (!text) reply.header["template"] = false;
  if (text) append(reply.payload, std::span(*text));
}

void reset(State& state, const Request&, Reply& reply) {
  state.server();
  state.ids.clear();
  state.kept.clear();
  state.n_before = 0;
  reply.header = state.facts;
}

void eval(State& state, const Request& request, Reply& reply) {
  state.server();
  state.n_before = state.ids.size();
  const std::vector<TokenId> ids = ids_of(request);
  state.ids.insert(state.ids.end(), ids.begin(), ids.end());
  state.kept.clear();
  reply.header["n_rows"] = ids.size();
}

// Only what is asked for is asked of the server.
void top(State& state, const Request& request, Reply& reply) {
  const auto first = request.header.at("first_row").get<size_t>() + state.n_before;
  const auto n = request.header.at("n_rows").get<size_t>();
  if (first > state.ids.size() || n > state.ids.size() - first) {
    backend_failed("worker_protocol", "rows that were not evaluated", "worker",
                   "ask for rows of the latest eval");
  }
  if (first < state.first_kept || first + n > state.first_kept + state.kept.size()) {
    state.first_kept = first;
    state.kept = state.server().rows(state.ids, first, n);
  }
  json counts = json::array();
  for (size_t i = first - state.first_kept; i < first - state.first_kept + n; ++i) {
    const TopRow& row = state.kept.at(i);
    counts.push_back(row.size());
    for (const TopEntry& entry : row) {
      append(reply.payload, std::span(&entry.token, 1));
      append(reply.payload, std::span(&entry.logit, 1));
    }
  }
  reply.header["counts"] = std::move(counts);
}

struct Message {
  const char* op;
  void (*handle)(State&, const Request&, Reply&);
};
constexpr Message kMessages[] = {
    {"hello", hello},           {"load", load},         {"info", info},
    {"vocabulary", vocabulary}, {"tokenize", tokenize}, {"render", render},
    {"reset", reset},           {"eval", eval},         {"top", top},
};

Reply answer(State& state, const Request& request) {
  Reply reply;
  try {
    const std::string op = request.header.at("op").get<std::string>();
    for (const Message& message : kMessages) {
      if (op != message.op) continue;
      message.handle(state, request, reply);
      reply.header["ok"] = true;
      return reply;
    }
    backend_failed("worker_protocol", "unknown message '" + op + "'", "worker",
                   "use the messages of docs/protocol.md");
  } catch (const Error& error) {
    reply = {.header = error_reply(error), .payload = {}};
  } catch (const std::exception& error) {
    const Error unread(Status::backend_failed, "http_nonsense",
                       std::string("an answer of the server could not be read: ") + error.what(),
                       "worker", "see which server it is");
    reply = {.header = error_reply(unread), .payload = {}};
  }
  return reply;
}

int serve(const std::string& url) {
  ::signal(SIGPIPE, SIG_IGN);
  const char* key = std::getenv("CROSSVAL_HTTP_KEY");
  State state;
  state.client =
      std::make_unique<Client>(parse_server_url(url, "argument"), key != nullptr ? key : "");
  Request request;
  while (read_request(request)) {
    if (request.header.is_object() && request.header.value("op", "") == "quit") break;
    write_reply(answer(state, request));
  }
  return 0;
}

}  // namespace
}  // namespace crossval::http

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: crossval-http-worker http://HOST:PORT   (started by crossval)\n", stderr);
    return 1;
  }
  try {
    return crossval::http::serve(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
