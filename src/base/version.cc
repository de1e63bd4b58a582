#include "base/version.h"

namespace crossval {

std::string version() { return CROSSVAL_VERSION; }

}  // namespace crossval
