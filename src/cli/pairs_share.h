// What the pairs of one command share: a worker for each engine, used by one pair after the other,
// the ids decoded by the first pair that got that far, and the model's checksum.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace crossval {

class PairsShare {
 public:
  // The engine of this name: made by `make` the first time. An Error of `make` is thrown again
  // for every later pair, so that an engine that cannot be loaded is tried once.
  std::unique_ptr<Engine> open(const std::string& name,
                               const std::function<std::unique_ptr<Engine>()>& make);

  // Every pair is fed the ids that the first one decoded after the same prompt ids.
  void next_prompt() { evaluated_.clear(); }
  void set_evaluated(size_t n_prompt, const std::vector<TokenId>& ids);
  // Empty = nothing was decoded after this prompt yet.
  std::vector<TokenId> decoded_after(const std::vector<TokenId>& prompt) const;

  std::shared_future<std::string> sha256;  // valid once a pair has begun to compute it

 private:
  struct Opened {
    std::shared_ptr<Engine> engine;
    std::exception_ptr failure;
  };
  std::map<std::string, Opened> engines_;
  std::vector<TokenId> evaluated_;
  size_t n_prompt_ = 0;
};

}  // namespace crossval
