// Any bytes through the GGUF reader: accepted, or refused with a complete Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "gguf/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  unsigned sum = 0;
  try {
    const GgufPart part = read_gguf_part("fuzz", std::as_bytes(std::span(data, size)));
    for (const TensorView& tensor : part.tensors) {
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    }
    for (const auto& [key, value] : part.metadata) {
      for (const std::byte byte : value.raw) sum += static_cast<unsigned>(byte);
    }
  } catch (const Error& error) {
    if (error.code.empty() || error.where.empty() || error.fix.empty()) std::abort();
  }
  volatile unsigned keep = sum;  // the reads must not be optimised away
  (void)keep;
  return 0;
}
