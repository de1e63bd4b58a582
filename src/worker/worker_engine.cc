// The Engine interface said in messages; every number a worker sends is checked before use.
#include "worker/worker_engine.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/stopwatch.h"
#include "engine/wire.h"
#include "worker/reply_numbers.h"

namespace crossval {
namespace {

using nlohmann::json;

constexpr int64_t kMaxIds = 1 << 28, kMaxRenderedBytes = 1 << 28;
constexpr int kMaxVocab = 1 << 26;
constexpr int kMaxInt = std::numeric_limits<int>::max();

[[noreturn]] void lacks(const char* key, const std::string& stage) {
  backend_failed("worker_protocol", std::string("the reply lacks a usable \"") + key + "\"", stage,
                 "build the worker again with crossval setup");
}

// A field of a reply, or an Error that names it.
int int_field(const json& header, const char* key, const std::string& stage) {
  const auto found = header.find(key);
  const auto number = found != header.end()
                          ? integer_of(*found, std::numeric_limits<int>::min(), kMaxInt)
                          : std::nullopt;
  if (!number) lacks(key, stage);
  return static_cast<int>(*number);
}

std::string optional_text(const json& header, const char* key) {
  const auto found = header.find(key);
  return found != header.end() && found->is_string() ? found->get<std::string>() : "";
}

const char* bos_word(BosMode mode) {
  switch (mode) {
    case BosMode::automatic:
      return "auto";
    case BosMode::on:
      return "on";
    case BosMode::off:
      return "off";
  }
  return "auto";
}

}  // namespace

WorkerEngine::WorkerEngine(const WorkerLaunch& launch)
    : channel_(launch.argv, launch.name, launch.timeout_ms, launch.on_message,
               launch.cover ? &*launch.cover : nullptr) {
  const auto reply =
      call({.header = {{"op", "hello"}, {"protocol", kWireProtocolVersion}}, .stage = "start"},
           &timing_.start_ms);
  const int protocol = int_field(reply.header, "protocol", "start");
  if (protocol != kWireProtocolVersion) {
    backend_failed("worker_protocol",
                   "the worker speaks protocol " + std::to_string(protocol) + ", not " +
                       std::to_string(kWireProtocolVersion),
                   launch.argv[0], "build it again with crossval setup");
  }
  take_engine_facts(reply.header);
}

void WorkerEngine::take_engine_facts(const json& header) {
  const auto engine = header.find("engine");
  if (engine == header.end() || !engine->is_string()) lacks("engine", "start");
  const json taps = header.value("taps", json());
  hello_ = {.engine = engine->get<std::string>(),
            .version = optional_text(header, "version"),
            .library = optional_text(header, "library"),
            .api_era = optional_text(header, "api_era"),
            .system_info = optional_text(header, "system_info"),
            .cpu_library = optional_text(header, "cpu_library"),
            .commit = optional_text(header, "commit"),
            .taps = taps == json(true) || taps == json("partial"),
            .all_taps = taps != json("partial"),
            .names = header.value("names", json()) == json(true),
            .tokenizes = header.value("tokenizes", json()) != json(false),
            .pieces = header.value("pieces", json()) != json(false),
            .renders = header.value("renders", json()) == json(true),
            .wants_vocabulary = header.value("vocabulary", json()) == json(true)};
  channel_.set_name(hello_.engine);
  info_.name = hello_.engine;
  info_.version = hello_.version;
  info_.library = hello_.library;
  info_.commit = hello_.commit;
}

Channel::Reply WorkerEngine::call(const Channel::Request& request, double* stage_ms) {
  const Stopwatch watch;
  auto reply = channel_.call(request);
  if (stage_ms != nullptr) *stage_ms += watch.elapsed_ms();
  return reply;
}

void WorkerEngine::take_model_facts(const json& header) {
  if (header.contains("n_top")) {
    n_top_ = std::clamp(int_field(header, "n_top", "load"), 1, kMaxVocab);
  }
  info_.n_vocab = int_field(header, "n_vocab", "load");
  const int fewest = n_top_ > 0 ? 0 : 1;  // servers do not all tell
  if (info_.n_vocab < fewest || info_.n_vocab > kMaxVocab) {
    backend_failed("worker_protocol",
                   "the worker reports a vocabulary of " + std::to_string(info_.n_vocab), "load",
                   "build the worker again with crossval setup");
  }
  // A server has its own, which no path here names.
  const std::string model = optional_text(header, "model");
  if (!model.empty()) info_.model = model;
  const std::string device = optional_text(header, "device");
  if (!device.empty()) info_.device = device;
  const auto n_ctx_train = header.find("n_ctx_train");
  if (n_ctx_train != header.end()) {
    if (const auto n = integer_of(*n_ctx_train, 0, kMaxInt)) {
      info_.n_ctx_train = static_cast<int>(*n);
    }
  }
  info_.settings.clear();
  for (const auto& [key, text] : {std::pair{"api_era", &hello_.api_era},
                                  {"system_info", &hello_.system_info},
                                  {"cpu_library", &hello_.cpu_library}}) {
    if (!text->empty()) {
      info_.settings[key] = *text;
    }
  }
  const auto settings = header.find("settings");
  if (settings != header.end() && settings->is_object()) {
    for (const auto& [key, value] : settings->items()) {
      info_.settings[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
}

void WorkerEngine::load(const std::string& model_path, int n_threads,
                        const std::map<std::string, std::string>& settings) {
  const auto reply = call({.header = {{"op", "load"},
                                      {"model", model_path},
                                      {"n_threads", n_threads},
                                      {"settings", settings}},
                           .stage = "load of " + model_path},
                          &timing_.load_ms);
  info_.model = model_path;
  info_.n_threads = n_threads;
  // What a server is shows when it is asked.
  if (reply.header.contains("engine")) {
    take_engine_facts(reply.header);
    info_.n_threads = 0;
  }
  take_model_facts(reply.header);
  pieces_.clear();
  n_past_ = n_rows_ = next_row_ = 0;
}

std::optional<std::string> WorkerEngine::render(const std::string& prompt,
                                                const std::string& system) {
  json messages = json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  const auto reply = call({.header = {{"op", "render"}, {"messages", std::move(messages)}},
                           .stage = "rendering of " + std::to_string(prompt.size()) + " bytes",
                           .max_reply_payload_bytes = kMaxRenderedBytes},
                          &timing_.tokenize_ms);
  if (reply.header.value("template", json()) == json(false)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(reply.payload.data()), reply.payload.size());
}

std::vector<TokenId> WorkerEngine::tokenize(const std::string& text,
                                            const TokenizeOptions& options) {
  const auto reply = call({.header = {{"op", "tokenize"},
                                      {"bos", bos_word(options.bos)},
                                      {"parse_special", options.parse_special}},
                           .payload = std::as_bytes(std::span(text)),
                           .stage = "tokenize of " + std::to_string(text.size()) + " bytes",
                           .max_reply_payload_bytes = kMaxIds * sizeof(TokenId)},
                          &timing_.tokenize_ms);
  if (reply.payload.size() % sizeof(TokenId) != 0) {
    backend_failed("worker_protocol", "the ids are not a whole number of 32-bit integers",
                   "tokenize", "build the worker again with crossval setup");
  }
  std::vector<TokenId> ids(reply.payload.size() / sizeof(TokenId));
  if (!ids.empty()) {
    std::memcpy(ids.data(), reply.payload.data(), reply.payload.size());
  }
  return ids;
}

void WorkerEngine::give_vocabulary(const std::vector<std::string>& pieces) {
  std::string all;
  json sizes = json::array();
  for (const std::string& piece : pieces) {
    all += piece;
    sizes.push_back(piece.size());
  }
  call({.header = {{"op", "vocabulary"}, {"sizes", std::move(sizes)}},
        .payload = std::as_bytes(std::span(all)),
        .stage = "vocabulary of " + std::to_string(pieces.size()) + " ids"},
       &timing_.load_ms);
}

std::string WorkerEngine::piece(TokenId id) {
  const auto known = pieces_.find(id);
  if (known != pieces_.end()) {
    return known->second;
  }
  const auto reply = call({.header = {{"op", "pieces"}},
                           .payload = std::as_bytes(std::span(&id, 1)),
                           .stage = "text of a token",
                           .max_reply_payload_bytes = 1 << 20},
                          &timing_.tokenize_ms);
  std::string text(reinterpret_cast<const char*>(reply.payload.data()), reply.payload.size());
  return pieces_.emplace(id, std::move(text)).first->second;
}

void WorkerEngine::reset(int n_ctx) {
  const auto reply = call({.header = {{"op", "reset"}, {"n_ctx", n_ctx}},
                           .stage = "reset for " + std::to_string(n_ctx) + " ids"},
                          &timing_.load_ms);
  take_model_facts(reply.header);
  warning_ = optional_text(reply.header, "warning");
  n_past_ = n_rows_ = next_row_ = 0;
}

void WorkerEngine::eval(std::span<const TokenId> ids) {
  assert(!ids.empty());
  double time_ms = 0;
  const auto reply = call({.header = {{"op", "eval"}},
                           .payload = std::as_bytes(ids),
                           .stage = "eval of " + std::to_string(ids.size()) + " ids"},
                          &time_ms);
  finish_eval(reply.header, ids.size(), time_ms);
}

void WorkerEngine::finish_eval(const json& header, size_t n_ids, double time_ms) {
  // The first call after a reset is the prompt; what follows decodes.
  timing_.eval_ms += time_ms;
  (n_past_ == 0 ? timing_.prompt_eval_ms : timing_.decode_ms) += time_ms;
  n_rows_ = int_field(header, "n_rows", "eval");
  if (n_rows_ != static_cast<int>(n_ids)) {
    backend_failed("worker_protocol",
                   "the worker has logits of " + std::to_string(n_rows_) + " rows for " +
                       std::to_string(n_ids) + " ids",
                   "eval", "build the worker again with crossval setup");
  }
  n_past_ += n_rows_;
  next_row_ = 0;
}

void WorkerEngine::read_logits(int first_row, int n_rows, std::span<float> out) {
  assert(first_row >= next_row_ && n_rows > 0 && first_row + n_rows <= n_rows_);
  assert(out.size() == static_cast<size_t>(n_rows) * static_cast<size_t>(info_.n_vocab));
  double time_ms = 0;
  const auto into = std::as_writable_bytes(out);
  call({.header = {{"op", "logits"}, {"first_row", first_row}, {"n_rows", n_rows}},
        .stage = "logits of " + std::to_string(n_rows) + " rows",
        .max_reply_payload_bytes = into.size(),
        .reply_into = into},
       &time_ms);
  timing_.eval_ms += time_ms;
  next_row_ = first_row + n_rows;
}

std::vector<TopRow> WorkerEngine::read_top_rows(int first_row, int n_rows) {
  assert(n_top_ > 0 && first_row >= next_row_ && n_rows > 0 && first_row + n_rows <= n_rows_);
  constexpr size_t entry_size_bytes = sizeof(int32_t) + sizeof(float);
  const std::string stage = "likeliest tokens of " + std::to_string(n_rows) + " rows";
  const auto reply =
      call({.header = {{"op", "top"}, {"first_row", first_row}, {"n_rows", n_rows}},
            .stage = stage,
            .max_reply_payload_bytes =
                entry_size_bytes * static_cast<uint64_t>(n_rows) * static_cast<uint64_t>(n_top_)},
           &timing_.eval_ms);
  next_row_ = first_row + n_rows;
  const auto counts = reply.header.find("counts");
  if (counts == reply.header.end() || !counts->is_array() ||
      counts->size() != static_cast<size_t>(n_rows)) {
    lacks("counts", stage);
  }
  std::vector<TopRow> rows;
  size_t at = 0;
  for (const json& value : *counts) {
    const auto count = integer_of(value, 0, n_top_);
    if (!count || reply.payload.size() - at < static_cast<size_t>(*count) * entry_size_bytes) {
      lacks("counts", stage);
    }
    TopRow& row = rows.emplace_back(static_cast<size_t>(*count));
    for (TopEntry& entry : row) {
      std::memcpy(&entry.token, reply.payload.data() + at, sizeof entry.token);
      std::memcpy(&entry.logit, reply.payload.data() + at + sizeof entry.token, sizeof entry.logit);
      at += entry_size_bytes;
    }
    settle_top_row(row, info_.n_vocab, info_.name, stage);
  }
  if (at != reply.payload.size()) lacks("counts", stage);
  return rows;
}

std::vector<std::string> WorkerEngine::log_tail() {
  auto lines = channel_.log_tail();
  if (!warning_.empty()) {
    lines.push_back("warning: " + warning_);
  }
  return lines;
}

std::vector<std::string> WorkerEngine::warnings() {
  channel_.drain_log();
  return channel_.warnings();
}

}  // namespace crossval
