#include "checkpoint/pieces.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace crossval {
namespace {

// The wire format: protobuf.dev/programming-guides/encoding.
class Wire {
 public:
  explicit Wire(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return {};
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return {};
  }
  std::optional<std::string_view> take(uint64_t n) {
    if (n > rest_.size()) return {};
    const std::string_view bytes = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return bytes;
  }
  // The value of a field whose tag has this kind: for numbers their bytes.
  std::optional<std::string_view> value(uint64_t kind, uint64_t& number) {
    switch (kind) {
      case 0: {
        const auto read = varint();
        if (!read) return {};
        number = *read;
        return std::string_view();
      }
      case 1:
        return take(8);
      case 2: {
        const auto n = varint();
        return n ? take(*n) : std::nullopt;
      }
      case 5:
        return take(4);
      default:
        return {};
    }
  }

 private:
  std::string_view rest_;
};

std::optional<SentencePiece> read_piece(std::string_view bytes) {
  SentencePiece piece;
  Wire in(bytes);
  while (!in.done()) {
    const auto tag = in.varint();
    if (!tag) return {};
    uint64_t number = 0;
    const auto value = in.value(*tag & 7, number);
    if (!value) return {};
    if (*tag == (1u << 3 | 2)) piece.text = *value;
    if (*tag == (2u << 3 | 5)) std::memcpy(&piece.score, value->data(), sizeof(float));
    if (*tag == (3u << 3 | 0)) piece.type = static_cast<int>(number & 0xff);
  }
  return piece;
}

}  // namespace

std::optional<std::vector<SentencePiece>> read_pieces(std::string_view model) {
  std::vector<SentencePiece> all;
  Wire in(model);
  while (!in.done()) {
    const auto tag = in.varint();
    if (!tag) return {};
    uint64_t number = 0;
    const auto value = in.value(*tag & 7, number);
    if (!value) return {};
    if (*tag != (1u << 3 | 2)) continue;
    auto piece = read_piece(*value);
    if (!piece) return {};
    all.push_back(std::move(*piece));
  }
  if (all.empty()) return {};
  return all;
}

}  // namespace crossval
