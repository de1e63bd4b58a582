#include "backends/engine_ref.h"

#include "engine/trace_engine.h"

namespace crossval {
std::string EngineRef::display_name() const { return backend_display_name(name); }
EngineRef find_engine(const std::string& name, const std::string&) { return {name}; }
void check_engine(const EngineRef& ref) {
  if (!ref.is_builtin() && !ref.is_recording()) check_backend({ref.name});
}
std::unique_ptr<Engine> open_engine(const EngineRef& ref, const LoadOptions& options) {
  if (ref.is_recording()) return std::make_unique<TraceEngine>(ref.name.substr(6));
  return open_backend({ref.name}, options);
}
std::vector<std::string> ready_engines() { return ready_backends(); }
}  // namespace crossval
