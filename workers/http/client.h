// Requests to one server, and answers as JSON that was checked to be some. A server is a stranger:
// no redirect is followed, no answer may be larger than a bound or take longer than a time, and
// what it says is never repeated but in a few printable words.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/server_url.h"

namespace httplib {
class Client;
struct Request;
}  // namespace httplib

namespace crossval::http {

struct Answer {
  int status = 0;
  nlohmann::json body;  // discarded where it is no JSON, or nests too deep
  std::string words;    // what the server says of an error, cut and printable; may be empty

  bool is_ok() const { return status >= 200 && status < 300 && !body.is_discarded(); }
};

class Client {
 public:
  // `key`: for "Authorization: Bearer", "" = none; it appears in no message.
  Client(ServerUrl url, std::string key);
  ~Client();

  void set_timeout(std::chrono::milliseconds most) { timeout_ = most; }
  const ServerUrl& url() const { return url_; }

  // Whatever the server answers but a redirect, a refused key and what kept failing, each an Error.
  // Every request may be repeated: none changes anything. So it is where the server cannot be
  // reached, is loading its model or has too much to do, a few times.
  Answer get(const std::string& path);
  Answer post(const std::string& path, const nlohmann::json& body);
  // The JSON of a post that must succeed.
  nlohmann::json need(const std::string& path, const nlohmann::json& body);
  // Throws backend_failed for an answer that is of no use: its status, or what it lacks.
  [[noreturn]] void refuse(const std::string& path, const Answer& answer) const;
  [[noreturn]] void nonsense(const std::string& path, const std::string& what) const;

 private:
  struct Tried {
    int status = 0;      // 0 = there was no answer
    std::string reason;  // then
    std::string body;
  };
  Tried try_once(const httplib::Request& request);
  Answer send(const std::string& method, const std::string& path, const std::string& body);

  ServerUrl url_;
  std::string key_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<httplib::Client> client_;
};

}  // namespace crossval::http
