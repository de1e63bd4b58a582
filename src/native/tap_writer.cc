#include "native/tap_writer.h"

#include <cassert>
#include <cstring>

namespace crossval {

void TapWriter::write(const char* stem, int layer, const char* op, const float* rows, int64_t width,
                      int64_t n_tokens, int64_t n_heads) {
  Tap tap;
  tap.name = layer < 0 ? stem : std::string(stem) + "-" + std::to_string(layer);
  tap.occurrence = n_seen_[tap.name]++;
  if (!wants(tap.name, layer)) return;
  tap.layer = layer;
  tap.op = op;
  tap.first_position = first_position_;
  tap.out.name = tap.name;
  tap.out.type = GgmlType::F32;
  if (n_heads > 0) {
    assert(width % n_heads == 0);
    tap.out.ne = {width / n_heads, n_heads, n_tokens, 1};
  } else {
    tap.out.ne = {width, n_tokens, 1, 1};
  }
  std::vector<std::byte>& bytes = tap.out.data.own();
  bytes.resize(static_cast<size_t>(width * n_tokens) * sizeof(float));
  std::memcpy(bytes.data(), rows, bytes.size());
  sink_(std::move(tap));
}

}  // namespace crossval
