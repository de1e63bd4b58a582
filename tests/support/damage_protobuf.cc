// The wire format: protobuf's own documentation, "Encoding". What is a message and what a text,
// the bytes do not say: whatever reads as fields to its end is taken for a message.
#include "support/damage_protobuf.h"

#include <cstring>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "support/damage.h"

namespace crossval::testing {
namespace {

enum Wire : unsigned { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  uint64_t number = 0;
  unsigned wire = kVarint;
  uint64_t value = 0;         // of the numbers
  std::string bytes;          // of texts
  std::vector<Field> fields;  // of messages
};
using Message = std::vector<Field>;

std::optional<uint64_t> take_varint(std::string_view& in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<Message> parse(std::string_view in, int depth) {
  Message message;
  while (!in.empty()) {
    const auto tag = take_varint(in);
    if (!tag || *tag >> 3 == 0 || *tag >> 3 > 1000) return std::nullopt;
    Field field{.number = *tag >> 3, .wire = static_cast<unsigned>(*tag & 7)};
    size_t n_fixed = 0;
    if (field.wire == kVarint || field.wire == kBytes) {
      const auto value = take_varint(in);
      if (!value) return std::nullopt;
      field.value = *value;
      if (field.wire == kBytes) n_fixed = *value;
    } else if (field.wire == kFixed32 || field.wire == kFixed64) {
      n_fixed = field.wire == kFixed32 ? 4 : 8;
    } else {
      return std::nullopt;
    }
    if (n_fixed > in.size()) return std::nullopt;
    if (field.wire == kBytes) {
      field.bytes = in.substr(0, n_fixed);
      auto inner = depth > 0 && n_fixed > 0 ? parse(field.bytes, depth - 1) : std::nullopt;
      if (inner) field.fields = std::move(*inner);
    } else if (n_fixed > 0) {
      std::memcpy(&field.value, in.data(), n_fixed);
    }
    in.remove_prefix(n_fixed);
    message.push_back(std::move(field));
  }
  return message;
}

void put_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::string encode(const Message& message) {
  std::string out;
  for (const Field& field : message) {
    put_varint(field.number << 3 | field.wire, out);
    if (field.wire == kVarint) put_varint(field.value, out);
    if (field.wire == kFixed32) out.append(reinterpret_cast<const char*>(&field.value), 4);
    if (field.wire == kFixed64) out.append(reinterpret_cast<const char*>(&field.value), 8);
    if (field.wire != kBytes) continue;
    const std::string bytes = field.fields.empty() ? field.bytes : encode(field.fields);
    put_varint(bytes.size(), out);
    out += bytes;
  }
  return out;
}

// Bits of floats and numbers at the edges: infinities, no number, the least and the most.
constexpr uint64_t kNasty[] = {0,          1,          2,          3,          4,
                               0x7f,       0xff,       0xffff,     0x7f800000, 0xff800000,
                               0x7fc00000, 0x7f7fffff, 0x00000001, 0x3f800000, 0x7fffffff,
                               0x80000000, 0xffffffff, ~0ull};

class ProtobufDamager {
 public:
  explicit ProtobufDamager(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  void damage_once(Message& message) {
    if (message.empty()) return;
    const size_t at = below(message.size());
    Field& field = message[at];
    if (!field.fields.empty() && below(5) != 0) return damage_once(field.fields);
    const Field other = message[below(message.size())];
    switch (below(8)) {
      case 0:
        message.erase(message.begin() + static_cast<ptrdiff_t>(at));
        break;
      case 1:
        message.insert(message.begin() + static_cast<ptrdiff_t>(at), other);
        break;
      case 2:
        field = other;
        break;
      case 3:
        field.number = 1 + below(50);
        break;
      default:
        change(field);
        break;
    }
  }

 private:
  void change(Field& field) {
    if (field.wire != kBytes) {
      field.value = below(3) == 0 ? field.value + below(9) - 4 : kNasty[below(std::size(kNasty))];
    } else if (below(20) == 0) {
      field.fields.clear();
      field.bytes.assign(1 + below(70'000), 'a');
    } else {
      if (!field.fields.empty()) field.bytes = encode(field.fields);
      field.fields.clear();
      field.bytes = damaged_copy(field.bytes + "a", field.bytes.size() + 1, random_());
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

std::string damaged_protobuf(const std::string& good, size_t header_bytes, uint64_t seed) {
  ProtobufDamager damager(seed);
  if (damager.below(4) == 0) return damaged_copy(good, header_bytes, seed);
  std::optional<Message> message = parse(good, 3);
  if (!message) return damaged_copy(good, header_bytes, seed);
  for (uint64_t n = 1 + damager.below(3); n > 0; --n) damager.damage_once(*message);
  return encode(*message);
}

}  // namespace crossval::testing
