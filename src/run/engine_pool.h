// Engines that several comparisons of one command use, one after the other: each is loaded once.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/engine.h"

namespace crossval {

class EnginePool {
 public:
  // The engine of this name: made by `make` the first time, and again where it is gone. An Error of
  // `make` is thrown again every later time, so that an engine that cannot be loaded is tried once.
  std::shared_ptr<Engine> open(const std::string& name,
                               const std::function<std::unique_ptr<Engine>()>& make);

 private:
  struct Opened {
    std::shared_ptr<Engine> engine;
    std::exception_ptr failure;
  };
  std::map<std::string, Opened> engines_;
};

}  // namespace crossval
