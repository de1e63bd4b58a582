// Values that do not fit the f16 they are stored or computed in. The operation is right: it does
// what it is told, and Inf is what comes of it.
#pragma once

#include <optional>
#include <string>

#include "engine/tap.h"

namespace crossval {

// "Kcur-1 reaches 1.2e+05, f16 ends at 65504"; nullopt where nothing overflows. Looks at results of
// type F16 (caches), at products with F16 weights, and at attention over an F16 cache.
std::optional<std::string> f16_overflow(const Tap& tap);

}  // namespace crossval
