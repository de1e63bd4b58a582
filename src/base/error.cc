#include "base/error.h"

#include <utility>

namespace crossval {

const char* status_name(Status status) {
  switch (status) {
    case Status::agree:
      return "agree";
    case Status::diverged:
      return "diverged";
    case Status::token_mismatch:
      return "token_mismatch";
    case Status::bad_input:
      return "bad_input";
    case Status::inconclusive:
      return "inconclusive";
    case Status::backend_failed:
      return "backend_failed";
  }
  return "unknown";
}

Error::Error(Status status_in, std::string code_in, std::string what_in, std::string where_in,
             std::string fix_in)
    : std::runtime_error(what_in),
      status(status_in),
      code(std::move(code_in)),
      what_(std::move(what_in)),
      where(where_in.empty() ? "an empty name" : std::move(where_in)),
      fix(std::move(fix_in)) {}

void bad_input(std::string code, std::string what, std::string where, std::string fix) {
  throw Error(Status::bad_input, std::move(code), std::move(what), std::move(where),
              std::move(fix));
}

void backend_failed(std::string code, std::string what, std::string where, std::string fix) {
  throw Error(Status::backend_failed, std::move(code), std::move(what), std::move(where),
              std::move(fix));
}

}  // namespace crossval
