#include "client.h"

#include <httplib.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "engine/bounded_json.h"

namespace crossval::http {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// 20 tokens of 4,096 positions are some 10 MB; a whole vocabulary of one position 30.
constexpr size_t kMaxBodyBytes = 256u << 20;
constexpr milliseconds kDefaultTimeout{60'000}, kConnectTimeout{5'000};
constexpr int kMaxTries = 4;
constexpr milliseconds kFirstPause{250};
// A server that is loading its model says 503 until it has.
constexpr milliseconds kLoadingPause{500};
constexpr int kMaxLoadingTries = 120;
constexpr size_t kMaxWords = 160;

enum : int {
  kUnauthorised = 401,
  kForbidden = 403,
  kTooMany = 429,
  kBadGateway = 502,
  kUnavailable = 503
};

// Ends a request that takes too long, wherever it hangs: in the headers as in a body that drips.
class Watchdog {
 public:
  Watchdog(httplib::Client& client, milliseconds most)
      : thread_([this, &client, most] {
          std::unique_lock lock(mutex_);
          if (ended_.wait_for(lock, most, [this] { return is_over_; })) return;
          has_bitten_ = true;
          client.stop();
        }) {}
  ~Watchdog() { end(); }

  // Whether it was too late.
  bool end() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    ended_.notify_all();
    if (thread_.joinable()) thread_.join();
    return has_bitten_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_over_ = false, has_bitten_ = false;
  std::thread thread_;
};

// llama.cpp, vLLM and OpenAI say {"error": {"message"}}, Ollama and TGI {"error": ""}, vLLM also
// {"message"}, FastAPI {"detail"}.
std::string words_of(const json& body) {
  if (!body.is_object()) return "";
  for (const char* key : {"error", "message", "detail"}) {
    const auto found = body.find(key);
    if (found == body.end()) continue;
    const json& value =
        found->is_object() && found->contains("message") ? found->at("message") : *found;
    if (value.is_string()) return printable(value.get<std::string>().substr(0, kMaxWords));
  }
  return "";
}

bool is_worth_repeating(int status) {
  return status == 0 || status == kTooMany || status == kBadGateway || status == kUnavailable;
}

std::string without_key(std::string text, const std::string& key) {
  if (key.empty()) return text;
  for (size_t at = text.find(key); at != text.npos; at = text.find(key, at)) {
    text.replace(at, key.size(), "(the key)");
    at += 9;
  }
  return text;
}

}  // namespace

Client::Client(ServerUrl url, std::string key)
    : url_(std::move(url)),
      key_(std::move(key)),
      timeout_(kDefaultTimeout),
      client_(std::make_unique<httplib::Client>(url_.origin())) {
  client_->set_follow_location(false);
  client_->set_keep_alive(true);
  client_->set_tcp_nodelay(true);
  client_->set_decompress(false);  // nothing compressed is asked for
  client_->set_connection_timeout(kConnectTimeout);
}

Client::~Client() = default;

Client::Tried Client::try_once(const httplib::Request& plain) {
  Tried tried;
  bool is_too_large = false;
  httplib::Request request = plain;
  request.content_receiver = [&](const char* bytes, size_t n, uint64_t, uint64_t) {
    is_too_large = tried.body.size() + n > kMaxBodyBytes;
    if (!is_too_large) tried.body.append(bytes, n);
    return !is_too_large;
  };
  client_->set_read_timeout(timeout_);
  client_->set_write_timeout(timeout_);
  Watchdog watchdog(*client_, timeout_);
  const httplib::Result result = client_->send(request);
  const bool is_late = watchdog.end();
  if (is_too_large) {
    tried.reason = "answered more than " + std::to_string(kMaxBodyBytes >> 20) + " MiB";
  } else if (is_late) {
    tried.reason = "did not answer within " + std::to_string(timeout_.count() / 1000) + " s";
  } else if (!result) {
    switch (result.error()) {
      case httplib::Error::SSLConnection:
      case httplib::Error::SSLLoadingCerts:
      case httplib::Error::SSLServerVerification:
        tried.reason = "has no certificate that this machine trusts, or speaks no TLS";
        break;
      case httplib::Error::Connection:
      case httplib::Error::ConnectionTimeout:
        tried.reason = "cannot be reached";
        break;
      default:
        tried.reason = "ended the connection, or answered what is no HTTP";
    }
  } else {
    tried.status = result->status;
  }
  return tried;
}

Answer Client::send(const std::string& method, const std::string& path, const std::string& body) {
  httplib::Request request;
  request.method = method;
  request.path = url_.path + path;
  request.headers = {{"Accept", "application/json"}};
  if (!key_.empty()) request.headers.emplace("Authorization", "Bearer " + key_);
  if (method == "POST") {
    request.headers.emplace("Content-Type", "application/json");
    request.body = body;
  }
  Tried tried;
  milliseconds pause = kFirstPause;
  const auto began = std::chrono::steady_clock::now();
  for (int n = 1;; ++n) {
    tried = try_once(request);
    const bool is_final_reason = tried.reason.starts_with("answered") ||
                                 tried.reason.starts_with("did not") ||
                                 tried.reason.starts_with("has no");
    const bool is_loading = tried.status == kUnavailable;
    if (!is_worth_repeating(tried.status) || is_final_reason ||
        n >= (is_loading ? kMaxLoadingTries : kMaxTries) ||
        std::chrono::steady_clock::now() - began > timeout_) {
      break;
    }
    std::this_thread::sleep_for(is_loading ? kLoadingPause : pause);
    pause *= 2;
  }
  const std::string where = url_.origin() + request.path;
  if (tried.status == 0) {
    backend_failed(
        "http_failed", "the server " + tried.reason, where,
        "check that it runs and that the address is right; --backend-opt timeout=SECONDS "
        "gives it more time");
  }
  if (tried.status >= 300 && tried.status < 400) {
    bad_input("http_redirect", "the server sends us elsewhere, which is not followed", where,
              "give the address that it really has");
  }
  if (tried.status == kUnauthorised || tried.status == kForbidden) {
    bad_input("http_key", "the server refuses us: status " + std::to_string(tried.status), where,
              std::string(key_.empty() ? "put its key into the variable CROSSVAL_HTTP_KEY"
                                       : "the key in CROSSVAL_HTTP_KEY is not the server's"));
  }
  Answer answer{.status = tried.status, .body = parse_bounded(tried.body), .words = {}};
  answer.words = without_key(words_of(answer.body), key_);
  return answer;
}

Answer Client::get(const std::string& path) { return send("GET", path, ""); }

Answer Client::post(const std::string& path, const json& body) {
  std::string text;
  try {
    text = body.dump();
  } catch (const json::exception&) {
    bad_input("not_utf8", "the text is not UTF-8, which a server cannot be sent", "prompt",
              "give the prompt as ids: --tokens 1,2,3");
  }
  return send("POST", path, text);
}

json Client::need(const std::string& path, const json& body) {
  Answer answer = post(path, body);
  if (!answer.is_ok()) refuse(path, answer);
  return std::move(answer.body);
}

void Client::refuse(const std::string& path, const Answer& answer) const {
  const bool is_ok = answer.status >= 200 && answer.status < 300;
  std::string what = is_ok ? "the server answered what is no JSON, or nests too deep"
                           : "the server answered status " + std::to_string(answer.status);
  if (!answer.words.empty()) what += ": " + answer.words;
  backend_failed("http_status", what, url_.origin() + url_.path + path,
                 "see the server's own log; its messages are in docs/protocol.md");
}

void Client::nonsense(const std::string& path, const std::string& what) const {
  backend_failed("http_nonsense", "the server's answer " + what, url_.origin() + url_.path + path,
                 "this is not what docs/protocol.md knows of such a server: see which one it is");
}

}  // namespace crossval::http
