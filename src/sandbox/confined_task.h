// A function of ours over data of strangers, in a child process that can do nothing but compute: no
// files but those named, no network, bounded memory, bounded time for each call. Whatever the data
// makes it do, the caller gets an answer or an Error. Under AddressSanitizer, whose allocator
// another thread may hold when we fork, the function runs in our own process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "base/unique_fd.h"
#include "sandbox/rights.h"

namespace crossval {

class ConfinedTask {
 public:
  using Fields = std::vector<std::string>;
  using Serve = std::function<Fields(const Fields&)>;

  struct Failure {            // what a child is called that does not come to an answer
    std::string code, where;  // of the Error: "tokenizer_failed", the file
    std::string what, fix;    // "the tokenizer"
  };

  // Forks. `open` runs in the child, once, and gives what answers each request there; an Error that
  // either throws comes out of call(). The first call's time bounds `open` too.
  ConfinedTask(std::function<Serve()> open, const Rights& rights);
  ~ConfinedTask();
  ConfinedTask(const ConfinedTask&) = delete;
  ConfinedTask& operator=(const ConfinedTask&) = delete;

  // Throws the child's Error, or bad_input with `failure` where the child died, took longer or
  // answered what cannot be read; from then on every call throws the same.
  Fields call(const Fields& request, int timeout_ms, const Failure& failure);
  bool is_gone() const { return !gone_.empty(); }

 private:
  [[noreturn]] void fail(const std::string& why, const Failure& failure);
  int end();  // the status of waitpid
  bool transfer(bool is_sending, char* data, size_t size, const Failure& failure);

  std::function<Serve()> open_;  // where it runs in our own process
  Serve serve_;
  pid_t pid_ = -1;
  UniqueFd socket_;
  std::string gone_;  // why there is no child any more
  Stopwatch watch_;   // of the call under way
  int timeout_ms_ = 0;
};

}  // namespace crossval
