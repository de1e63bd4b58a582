// A prompt's ids under the BOS and special-token options that go to both sides.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "text/tokenizer.h"

namespace crossval {

// BOS `on` adds it where the vocabulary's own rules do not; `off` adds neither BOS nor EOS.
// Throws bad_input when BOS is asked for and the vocabulary has none.
std::vector<TokenId> encode_with_options(const Tokenizer& tokenizer, const std::string& text,
                                         const TokenizeOptions& options);

}  // namespace crossval
