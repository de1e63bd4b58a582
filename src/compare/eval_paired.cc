#include "compare/eval_paired.h"

#include <exception>
#include <thread>

namespace crossval {

void run_both(const std::function<void()>& engine, const std::function<void()>& backend,
              const std::function<void()>& abort) {
  // What made a side fail, unless it was only the other's failure.
  const auto run = [&](const std::function<void()>& side) -> std::exception_ptr {
    try {
      side();
      return nullptr;
    } catch (const TapPairingAborted&) {
      return nullptr;
    } catch (...) {
      abort();
      return std::current_exception();
    }
  };
  std::exception_ptr backend_error;
  std::thread thread([&] { backend_error = run(backend); });
  const std::exception_ptr engine_error = run(engine);
  thread.join();
  if (backend_error) std::rethrow_exception(backend_error);
  if (engine_error) std::rethrow_exception(engine_error);
}

void eval_paired(Engine& engine, Engine& backend, std::span<const TokenId> ids,
                 const TapFilter& filter, TapPairing& pairing) {
  if (ids.empty()) return;
  const int n_tokens = static_cast<int>(ids.size());
  const auto eval = [&](TapSide side, Engine& which) {
    which.eval_with_taps(ids, filter,
                         [&](Tap&& tap) { pairing.add(side, std::move(tap), n_tokens); });
    pairing.done(side);
  };
  pairing.begin(TapSide::engine);
  pairing.begin(TapSide::backend);
  run_both([&] { eval(TapSide::engine, engine); }, [&] { eval(TapSide::backend, backend); },
           [&] { pairing.abort(); });
}

}  // namespace crossval
