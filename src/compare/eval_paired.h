// One eval on two engines at the same time, their tensors paired as they come.
#pragma once

#include <functional>
#include <span>

#include "compare/pair_taps.h"
#include "engine/engine.h"

namespace crossval {

// Runs both, the backend's in a second thread. The first that fails ends both: `abort` wakes the
// other, whose TapPairingAborted is not told. Throws what made it fail, the backend's before the
// engine's.
void run_both(const std::function<void()>& engine, const std::function<void()>& backend,
              const std::function<void()>& abort);

// Evaluates `ids` on both, the backend in a second thread, and hands what they show to `pairing`.
// Both engines have taps and were reset for enough ids; when it returns both have evaluated, and
// logits can be read. The first error of either side ends both and is thrown here; both engines
// must be reset then. May be called again for the next ids with the same pairing.
void eval_paired(Engine& engine, Engine& backend, std::span<const TokenId> ids,
                 const TapFilter& filter, TapPairing& pairing);

}  // namespace crossval
