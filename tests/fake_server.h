// A server of the tests: real HTTP on a port of its own, answers by whatever routes a test gives
// it, and the log-probabilities of a model as native computes them, for servers that tell the
// truth.
#pragma once

#include <httplib.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "compare/topk.h"
#include "native/native_engine.h"
#include "text/tokenizer.h"

namespace crossval::testing {

using nlohmann::json;

class FakeServer {
 public:
  FakeServer() : port_(server_.bind_to_any_port("127.0.0.1")) {
    server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response&) {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request.method + " " + request.path);
      if (request.has_header("Authorization")) key_ = request.get_header_value("Authorization");
      return httplib::Server::HandlerResponse::Unhandled;
    });
  }
  ~FakeServer() { stop(); }

  httplib::Server& routes() { return server_; }
  // When the routes are there.
  void start() {
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int count(const std::string& request) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count(requests_, request));
  }
  std::string key() const {
    const std::lock_guard lock(mutex_);
    return key_;
  }

  // A route that takes JSON and gives JSON.
  void post(const std::string& path, const std::function<json(const json&)>& answer) {
    server_.Post(path, [answer](const httplib::Request& request, httplib::Response& response) {
      response.set_content(answer(json::parse(request.body)).dump(), "application/json");
    });
  }
  void get(const std::string& path, const json& answer) {
    server_.Get(path, [text = answer.dump()](const httplib::Request&, httplib::Response& response) {
      response.set_content(text, "application/json");
    });
  }

 private:
  httplib::Server server_;
  int port_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::string key_;
};

// What a model says, by native.
class Oracle {
 public:
  explicit Oracle(const std::string& model)
      : file_(ModelFile::open(model)),
        tokenizer_(Tokenizer::from_gguf(*file_)),
        engine_(file_, tokenizer_, {}, std::make_shared<ThreadPool>(1)) {}

  int n_vocab() const { return engine_.info().n_vocab; }
  std::vector<TokenId> tokenize(const std::string& text) const {
    return tokenizer_->encode(text, true, true);
  }
  std::string piece(TokenId id) const { return tokenizer_->piece(id); }
  std::string text(const std::vector<TokenId>& ids) const {
    std::string out;
    for (const TokenId id : ids) out += piece(id);
    return out;
  }

  // The k likeliest tokens after each id, with their log-probabilities.
  std::vector<TopRow> rows(const std::vector<TokenId>& ids, int k) {
    const std::lock_guard lock(mutex_);
    engine_.reset(static_cast<int>(ids.size()));
    engine_.eval(ids);
    std::vector<TopRow> out;
    std::vector<float> row(static_cast<size_t>(n_vocab()));
    for (int i = 0; i < static_cast<int>(ids.size()); ++i) {
      engine_.read_logits(i, 1, row);
      const double most = *std::ranges::max_element(row);
      double sum = 0;
      for (const float x : row) sum += std::exp(x - most);
      TopRow& top = out.emplace_back(top_k(row, k));
      for (TopEntry& entry : top) {
        entry.logit = static_cast<float>(entry.logit - most - std::log(sum));
      }
    }
    return out;
  }
  TopRow last_row(const std::vector<TokenId>& ids, int k) { return rows(ids, k).back(); }

 private:
  std::shared_ptr<const ModelFile> file_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  NativeEngine engine_;
  std::mutex mutex_;
};

}  // namespace crossval::testing
