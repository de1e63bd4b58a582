#include "cli/commit.h"

#include "base/version.h"
#include "crossval_commit.h"  // written by cmake/write_commit.cmake

namespace crossval {

std::string commit() { return CROSSVAL_COMMIT; }

std::string version_line() {
  return "crossval " + version() + (commit().empty() ? "" : " (" + commit() + ")");
}

}  // namespace crossval
