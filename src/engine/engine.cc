#include "engine/engine.h"

#include "base/error.h"

namespace crossval {

void Engine::eval_with_taps(std::span<const TokenId>, const TapFilter&, const TapSink&) {
  bad_input("no_taps", "this engine shows no tensors of its run, only logits", info().name,
            "use native, or a backend of the llama.cpp family, where tensors are wanted");
}

std::vector<TopRow> Engine::read_top_rows(int, int) {
  bad_input("no_top_rows", "this engine gives whole rows of logits", info().name,
            "read its logits");
}

}  // namespace crossval
