// Any bytes through the GGUF reader: accepted, or refused with a complete Error.
#include "gguf/reader.h"

#include "support/temp_dir.h"
#include "support/tiny_model.h"
#include "target.h"

namespace crossval::fuzz {

Seed good_input() {
  const testing::TempDir folder;
  const std::string path = folder.file("seed.gguf");
  testing::write_tiny_model(path, {.n_layers = 1, .n_embd = 32, .n_ff = 32});
  std::string bytes = testing::read_text(path);
  const size_t header_bytes =
      read_gguf_part(path, std::as_bytes(std::span(bytes.data(), bytes.size()))).data_offset;
  return {std::move(bytes), header_bytes};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  unsigned sum = 0;
  fuzz::read_or_refuse([&] {
    const GgufPart part = read_gguf_part("fuzz", std::as_bytes(std::span(data, size)));
    for (const TensorView& tensor : part.tensors) {
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    }
    for (const auto& [key, value] : part.metadata) {
      for (const std::byte byte : value.raw) sum += static_cast<unsigned>(byte);
    }
  });
  volatile unsigned keep = sum;  // the reads must not be optimised away
  (void)keep;
  return 0;
}
