// Any bytes as an engine's library: which others it needs is read within the file.
#include "backends/locate.h"
#include "support/temp_dir.h"
#include "target.h"

namespace crossval::fuzz {

// A program of the system, short and with libraries of its own.
Seed good_input() { return {testing::read_text("/bin/true")}; }

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  const fuzz::MemoryFile file({data, size});
  fuzz::read_or_refuse([&] { elf_needed(file.path()); });
  return 0;
}
