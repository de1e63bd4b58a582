#include "base/version.h"

#ifndef CROSSVAL_COMMIT
#define CROSSVAL_COMMIT ""
#endif

namespace crossval {

std::string version() { return CROSSVAL_VERSION; }
std::string commit() { return CROSSVAL_COMMIT; }

}  // namespace crossval
