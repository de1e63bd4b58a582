// The address of a server as a command line gives it: http://HOST[:PORT][/PATH]. It stands in
// results and in the list of processes, so it must hold no secret.
#pragma once

#include <string>

namespace crossval {

struct ServerUrl {
  std::string scheme;  // "http" or "https"
  std::string host;    // without the brackets of IPv6
  int port = 0;
  std::string path;  // what comes before every request's own; "" or "/v" without a slash behind

  std::string origin() const;  // "http://host:port"
  // Whether the name has to be looked up outside of this machine.
  bool is_name() const;
};

// Throws bad_input for anything else: user and password, a query, a fragment, odd characters. The
// message does not repeat them.
ServerUrl parse_server_url(const std::string& url, const std::string& where);

// `text` with "user:password@" of addresses in it left out: for the command line in a result.
std::string without_credentials(std::string text);

}  // namespace crossval
