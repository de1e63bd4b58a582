#include "compare/eval_paired.h"

#include <exception>
#include <thread>

namespace crossval {

void eval_paired(Engine& engine, Engine& backend, std::span<const TokenId> ids,
                 const TapFilter& filter, TapPairing& pairing) {
  if (ids.empty()) return;
  const int n_tokens = static_cast<int>(ids.size());
  // What made a side fail, unless it was only the other's failure.
  const auto run = [&](TapSide side, Engine& which) -> std::exception_ptr {
    try {
      which.eval_with_taps(ids, filter,
                           [&](Tap&& tap) { pairing.add(side, std::move(tap), n_tokens); });
      pairing.done(side);
      return nullptr;
    } catch (const TapPairingAborted&) {
      return nullptr;
    } catch (...) {
      pairing.abort();
      return std::current_exception();
    }
  };
  pairing.begin(TapSide::engine);
  pairing.begin(TapSide::backend);
  std::exception_ptr backend_error;
  std::thread thread([&] { backend_error = run(TapSide::backend, backend); });
  const std::exception_ptr engine_error = run(TapSide::engine, engine);
  thread.join();
  if (backend_error) std::rethrow_exception(backend_error);
  if (engine_error) std::rethrow_exception(engine_error);
}

}  // namespace crossval
