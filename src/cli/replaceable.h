// Files that a command may write over: what an earlier run of the same kind left, never a model, a
// prompt or anything else that a slip of the command line names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace crossval {

enum class OutputKind { receipt, page, trace };

// Throws bad_input where `path` is a file of another kind, or one of `inputs` (by device and
// inode); `flag` names it to the user. A path that is not there, an empty file, a device or pipe
// may be written.
void check_replaceable(std::string_view flag, const std::string& path, OutputKind kind,
                       const std::vector<std::string>& inputs = {});

}  // namespace crossval
