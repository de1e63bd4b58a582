// What a name on the command line stands for.
#pragma once

#include <memory>
#include <string>

#include "backends/open.h"

namespace crossval {

struct EngineRef {
  std::string name;
  std::string display_name() const;
  bool is_builtin() const { return name == "native"; }
  bool is_recording() const { return name.starts_with("trace:"); }
};
EngineRef find_engine(const std::string& name, const std::string& flag);
void check_engine(const EngineRef& ref);
std::unique_ptr<Engine> open_engine(const EngineRef& ref, const LoadOptions& options);
std::vector<std::string> ready_engines();

}  // namespace crossval
