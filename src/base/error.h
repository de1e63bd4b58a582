// The one way bad input or a failed backend is reported: what happened, where, how to fix it.
// Thrown by whoever finds it, caught once per command. A difference between engines is data and
// is never an Error; a broken invariant of our own is an assert.
#pragma once

#include <stdexcept>
#include <string>

namespace crossval {

// Process exit codes and `status` of every command (docs: exit codes).
enum class Status {
  agree = 0,
  diverged = 1,
  token_mismatch = 2,
  bad_input = 3,
  backend_failed = 4,
  inconclusive = 5  // nothing diverged, but not everything could be checked
};

// All of them, by exit code.
inline constexpr Status kStatuses[] = {Status::agree,          Status::diverged,
                                       Status::token_mismatch, Status::bad_input,
                                       Status::backend_failed, Status::inconclusive};

// The word for a status in JSON and text: "agree", "diverged", "token_mismatch", ...
const char* status_name(Status status);

struct Error : std::runtime_error {
  // `code`: a short snake_case word for machines, such as "truncated_file" or "worker_crashed".
  Error(Status status, std::string code, std::string what, std::string where, std::string fix);

  Status status;      // bad_input or backend_failed
  std::string code;   // which kind, for machines
  std::string what_;  // one sentence: what happened
  std::string
      where;  // file, tensor, key, flag or stage it happened at; a name may be empty, this not
  std::string fix;  // what the user can do about it, a command where there is one
};

// The common case: input that cannot be used (exit 3).
[[noreturn]] void bad_input(std::string code, std::string what, std::string where, std::string fix);

// A backend that is missing, crashed, hung or refused (exit 4).
[[noreturn]] void backend_failed(std::string code, std::string what, std::string where,
                                 std::string fix);

}  // namespace crossval
