// Bounds-checked little-endian reading from untrusted bytes. Nothing here can read outside its
// span or overflow: a read that does not fit gives nullopt and leaves the position where it was.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace crossval {

static_assert(std::endian::native == std::endian::little, "files are read in place");

// a * b and a + b of non-negative 64-bit numbers; nullopt when the result does not fit.
inline std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}
inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t position() const { return position_; }
  uint64_t size() const { return bytes_.size(); }
  uint64_t remaining() const { return bytes_.size() - position_; }

  // A number of a fixed width, unaligned.
  template <typename T>
  std::optional<T> read() {
    static_assert(std::is_arithmetic_v<T>);
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  // The next n bytes, as a view.
  std::optional<std::span<const std::byte>> take(uint64_t n) {
    if (remaining() < n) return std::nullopt;
    const auto view = bytes_.subspan(position_, n);
    position_ += n;
    return view;
  }

  std::optional<std::string_view> take_text(uint64_t n) {
    const auto view = take(n);
    if (!view) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(view->data()), view->size());
  }

  // Everything from `begin` up to the present position.
  std::span<const std::byte> since(uint64_t begin) const {
    return bytes_.subspan(begin, position_ - begin);
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
};

}  // namespace crossval
