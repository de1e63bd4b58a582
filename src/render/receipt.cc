#include "render/receipt.h"

#include "base/atomic_file.h"

namespace crossval {

void write_receipt(const std::string& path, std::string_view text) {
  write_file_atomically(path, text);
}

}  // namespace crossval
