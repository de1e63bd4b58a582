// Files that must be refused, each for its own reason, built byte by byte.
#include "gguf/reader.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"

namespace crossval {
namespace {

// A GGUF in memory, put together from numbers and strings.
class Raw {
 public:
  template <typename T>
  Raw& num(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Raw& text(std::string_view value) {
    num<uint64_t>(value.size());
    bytes_ += value;
    return *this;
  }
  Raw& head(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    bytes_ += "GGUF";
    return num(version).num(n_tensors).num(n_keys);
  }
  Raw& tensor(std::string_view name, std::vector<int64_t> shape, uint32_t type, uint64_t offset) {
    text(name).num(static_cast<uint32_t>(shape.size()));
    for (const int64_t dim : shape) num(dim);
    return num(type).num(offset);
  }
  Raw& pad(size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  Raw& zeros(size_t n) {
    bytes_.append(n, '\0');
    return *this;
  }
  GgufPart read() const {
    return read_gguf_part("m.gguf", std::as_bytes(std::span(bytes_.data(), bytes_.size())));
  }
  // "code: what | where" of the refusal.
  std::string refusal() const {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_FALSE(error.fix.empty());
      return error.code + ": " + error.what_ + " | " + error.where;
    }
    return "accepted";
  }

 private:
  std::string bytes_;
};

void expect_in(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(text.find(part), text.npos) << part << " in: " << text;
}

constexpr uint32_t kF32 = 0, kTU8 = 0, kTU32 = 4, kTBool = 7, kTString = 8, kTArray = 9;

TEST(Reader, header) {
  EXPECT_EQ(Raw().head(0, 0).refusal(), "accepted");
  EXPECT_EQ(Raw().head(0, 0, 2).refusal(), "accepted");
  expect_in(Raw().num(0x04034b50).refusal(), {"not_a_gguf", "PK"});
  expect_in(Raw().num('G').refusal(), {"not_a_gguf"});
  expect_in(Raw().head(0, 0, 1).refusal(), {"unsupported_version", "version 1"});
  expect_in(Raw().head(0, 0, 4).refusal(), {"unsupported_version", "version 4"});
  expect_in(Raw().head(0, 0, 0x03000000).refusal(), {"unsupported_version", "big-endian"});
  expect_in(Raw().head(0, 0, 0).refusal(), {"unsupported_version"});
}

TEST(Reader, counts_are_bounded_by_the_file) {
  const uint64_t huge = ~0ull;
  expect_in(Raw().head(huge, 0).refusal(), {"damaged_file", "18446744073709551615 tensors"});
  expect_in(Raw().head(0, huge).refusal(), {"damaged_file", "metadata keys"});
  expect_in(Raw().head(0, 2).zeros(20).refusal(), {"2 metadata keys", "cannot hold"});
  expect_in(Raw().head(1 << 20, 0).zeros(40 << 20).refusal(), {"at most 262144"});
}

TEST(Reader, keys_and_values) {
  const auto key = [](std::string_view name, uint32_t type) {
    return Raw().head(0, 1).text(name).num(type);
  };
  EXPECT_EQ(key("k", kTU32).num(5).refusal(), "accepted");
  expect_in(key("k", 13).num(5).refusal(), {"value type 13", "'k'"});
  expect_in(key("", kTU32).num(5).refusal(), {"damaged_file", "empty"});
  expect_in(key(std::string("a\0b", 3), kTU32).num(5).refusal(), {"a<00>b", "NUL"});
  expect_in(key("k", kTBool).num(uint8_t{2}).refusal(), {"bool holds 2"});
  expect_in(key("k", kTString).num(~0ull).refusal(), {"claims 18446744073709551615 bytes", "'k'"});
  expect_in(key("k", kTU32).num(uint16_t{1}).refusal(), {"truncated_file", "4 more bytes"});
  const auto two = [](const char* a, const char* b) {
    return Raw().head(0, 2).text(a).num(kTU32).num(1).text(b).num(kTU32).num(2).refusal();
  };
  EXPECT_EQ(two("a", "b"), "accepted");
  expect_in(two("a", "a"), {"'a' appears twice"});
}

TEST(Reader, arrays) {
  const auto array = [](uint32_t type, uint64_t count) {
    return Raw().head(0, 1).text("k").num(kTArray).num(type).num(count);
  };
  EXPECT_EQ(array(kTU8, 3).zeros(3).refusal(), "accepted");
  expect_in(array(kTU8, 4).zeros(3).refusal(), {"array claims 4 elements of type u8"});
  expect_in(array(kTString, 1ull << 61).refusal(), {"array claims"});
  expect_in(array(kTArray, 1ull << 62).refusal(), {"array claims"});
  expect_in(array(99, 1).zeros(8).refusal(), {"value type 99"});
  expect_in(array(kTString, 2).text("a").zeros(8).num(~0ull).refusal(), {"accepted"});
  expect_in(array(kTU8, 1ull << 26).zeros(1ull << 26).refusal(), {"more than 33554432 elements"});
  // Arrays of arrays are skipped, to a depth that no stack can run out of.
  auto nested = array(kTArray, 2);
  nested.num(kTU8).num(uint64_t{2}).zeros(2).num(kTString).num(uint64_t{1}).text("x");
  const GgufPart part = nested.read();
  EXPECT_EQ(std::get<uint64_t>(part.metadata.at("k").value), 2u);
  Raw deep = array(kTArray, 1);
  for (int i = 0; i < 100000; ++i) deep.num(kTArray).num(uint64_t{1});
  expect_in(deep.refusal(), {"nested deeper"});
}

TEST(Reader, alignment) {
  const auto aligned = [](uint32_t n) {
    return Raw().head(0, 1).text("general.alignment").num(kTU32).num(n).refusal();
  };
  EXPECT_EQ(aligned(8), "accepted");
  for (const uint32_t n : {0u, 1u, 4u, 48u, 0xffffffffu}) {
    expect_in(aligned(n), {"general.alignment", "power of two"});
  }
  EXPECT_EQ(aligned(0x80000000u), "accepted");  // no tensor: nothing is placed by it
  expect_in(Raw().head(0, 1).text("general.alignment").num(kTString).text("32").refusal(),
            {"not a u32"});
}

TEST(Reader, tensor_entries) {
  const auto one = [](std::string_view name, std::vector<int64_t> shape, uint32_t type,
                      uint64_t offset) {
    return Raw().head(1, 0).tensor(name, std::move(shape), type, offset).pad().zeros(64).refusal();
  };
  const int64_t big = int64_t{1} << 40;
  EXPECT_EQ(one("t", {4, 4}, kF32, 0), "accepted");
  EXPECT_EQ(one("t", {4}, kF32, 32), "accepted");
  EXPECT_EQ(one("t", {0, 4}, kF32, 0), "accepted");
  expect_in(one("", {4}, kF32, 0), {"damaged_file", "tensor 1 of 1"});
  expect_in(one("t", {}, kF32, 0), {"0 dimensions", "'t'"});
  expect_in(one("t", {1, 1, 1, 1, 1}, kF32, 0), {"5 dimensions"});
  expect_in(one("t", {-4}, kF32, 0), {"dimension 0 is -4"});
  expect_in(one("t", {big, big}, kF32, 0), {"too large to exist"});
  expect_in(one("t", {int64_t{1} << 61, 8}, kF32, 0), {"too large to exist"});
  expect_in(one("t", {4}, 99, 0), {"unknown_type", "type id 99"});
  expect_in(one("t", {4}, 0xffffffffu, 0), {"unknown_type"});
  expect_in(one("t", {32}, 31, 0), {"unknown_type", "quantise to Q4_0"});
  expect_in(one("t", {33}, 3, 0), {"whole blocks of 32 (Q4_1)"});
  expect_in(one("t", {4}, kF32, 4), {"offset 4", "alignment 32"});
  expect_in(one("t", {4}, kF32, ~31ull), {"truncated_file", "needs 16 bytes"});
  expect_in(one("t", {17}, kF32, 0), {"truncated_file", "needs 68 bytes"});
  expect_in(one("t", {16}, kF32, 32), {"truncated_file"});
}

TEST(Reader, tensors_among_each_other) {
  const auto two = [](const char* a, const char* b, int64_t n, uint64_t at) {
    return Raw()
        .head(2, 0)
        .tensor(a, {n}, kF32, 0)
        .tensor(b, {4}, kF32, at)
        .pad()
        .zeros(128)
        .refusal();
  };
  EXPECT_EQ(two("a", "b", 4, 32), "accepted");
  expect_in(two("a", "a", 4, 32), {"'a' appears twice"});
  expect_in(two("a", "b", 4, 0), {"overlaps"});
  expect_in(two("a", "b", 16, 32), {"'b'", "overlaps tensor 'a'"});
}

}  // namespace
}  // namespace crossval
