#include "base/server_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <string_view>

#include "base/error.h"

namespace crossval {
namespace {

constexpr int kHttpPort = 80, kHttpsPort = 443, kLastPort = 65535;

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  bad_input("bad_url", what, where, "write http://HOST:PORT, as in http://127.0.0.1:8080");
}

bool is_plain(unsigned char c, std::string_view others) {
  return std::isalnum(c) != 0 || others.find(static_cast<char>(c)) != std::string_view::npos;
}

bool all_plain(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) { return is_plain(c, others); });
}

int port_of(std::string_view digits, const std::string& where) {
  int port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc() || end != digits.data() + digits.size() || port < 1 ||
      port > kLastPort) {
    refuse("the port of the address is no number from 1 to 65535", where);
  }
  return port;
}

}  // namespace

std::string ServerUrl::origin() const {
  const bool is_v6 = host.find(':') != std::string::npos;
  return scheme + "://" + (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool ServerUrl::is_name() const {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return host != "localhost" && ::inet_pton(AF_INET, host.c_str(), bytes.data()) != 1 &&
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1;
}

ServerUrl parse_server_url(const std::string& url, const std::string& where) {
  ServerUrl out;
  const std::string_view all = url;
  const size_t begin = all.find("://");
  out.scheme = all.substr(0, begin);
  if (begin == all.npos || (out.scheme != "http" && out.scheme != "https")) {
    refuse("the address begins neither with http:// nor with https://", where);
  }
  const std::string_view rest = all.substr(begin + 3);
  const size_t slash = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = rest.substr(slash);
  if (rest.find('@') != rest.npos) {
    bad_input("secret_in_url", "the address holds a user or a password, and it stands in results",
              where, "leave it out; a key is taken from the variable CROSSVAL_HTTP_KEY");
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!all_plain(path, "/-._~%")) refuse("the path of the address has odd characters", where);
  out.path = path;
  out.port = out.scheme == "https" ? kHttpsPort : kHttpPort;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == authority.npos) refuse("the address lacks a ']'", where);
    out.host = authority.substr(1, end - 1);
    authority = authority.substr(end + 1);
    if (!all_plain(out.host, ":.")) refuse("the host of the address is no address", where);
  } else {
    const size_t colon = std::min(authority.find(':'), authority.size());
    out.host = authority.substr(0, colon);
    authority = authority.substr(colon);
    if (!all_plain(out.host, "-._")) refuse("the host of the address has odd characters", where);
  }
  if (out.host.empty()) refuse("the address names no host", where);
  if (!authority.empty() && !authority.starts_with(':')) refuse("the address is no address", where);
  if (authority.starts_with(':')) out.port = port_of(authority.substr(1), where);
  return out;
}

std::string without_credentials(std::string text) {
  for (size_t at = text.find("://"); at != text.npos; at = text.find("://", at + 3)) {
    const size_t begin = at + 3;
    const size_t end = std::min(text.find_first_of("/?#,'\" ", begin), text.size());
    const size_t sign = text.rfind('@', end);
    if (sign != text.npos && sign >= begin && sign < end) text.erase(begin, sign + 1 - begin);
  }
  return text;
}

}  // namespace crossval
