#include "run/engine_pool.h"

#include "base/error.h"

namespace crossval {

std::shared_ptr<Engine> EnginePool::open(const std::string& name,
                                         const std::function<std::unique_ptr<Engine>()>& make) {
  const auto [found, is_new] = engines_.try_emplace(name);
  Opened& opened = found->second;
  if (is_new || (opened.engine && opened.engine->is_gone())) {
    try {
      opened.engine = make();
    } catch (const Error&) {
      opened.failure = std::current_exception();
    }
  }
  if (opened.failure) std::rethrow_exception(opened.failure);
  return opened.engine;
}

}  // namespace crossval
