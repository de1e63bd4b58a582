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

// Calls field(tag, bytes, number) for each of a message; false where it is damaged, or a field is.
template <typename Field>
bool each_field(std::string_view message, const Field& field) {
  Wire in(message);
  while (!in.done()) {
    const auto tag = in.varint();
    if (!tag) return false;
    uint64_t number = 0;
    const auto value = in.value(*tag & 7, number);
    if (!value || !field(*tag, *value, number)) return false;
  }
  return true;
}

std::optional<SentencePiece> read_piece(std::string_view bytes) {
  SentencePiece piece;
  const auto take = [&](uint64_t tag, std::string_view value, uint64_t number) {
    if (tag == (1u << 3 | 2)) piece.text = value;
    if (tag == (2u << 3 | 5)) std::memcpy(&piece.score, value.data(), sizeof(float));
    if (tag == (3u << 3 | 0)) piece.type = static_cast<int>(number & 0xff);
    return true;
  };
  if (!each_field(bytes, take)) return {};
  return piece;
}

}  // namespace

std::optional<std::vector<SentencePiece>> read_pieces(std::string_view model) {
  std::vector<SentencePiece> all;
  const auto take = [&](uint64_t tag, std::string_view value, uint64_t) {
    if (tag != (1u << 3 | 2)) return true;
    auto piece = read_piece(value);
    if (piece) all.push_back(std::move(*piece));
    return piece.has_value();
  };
  if (!each_field(model, take) || all.empty()) return {};
  return all;
}

}  // namespace crossval
