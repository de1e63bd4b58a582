// Frame headers survive the round trip; anything foreign or too large is one Error.
#include "engine/wire.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace crossval {
namespace {

TEST(Wire, HeaderRoundTrip) {
  const auto bytes = encode_frame_header({0x01020304u >> 8, 0x0102030405ull});
  EXPECT_EQ(bytes[3], std::byte{kWireProtocolVersion});
  EXPECT_EQ(bytes[8], std::byte{5});  // little endian
  const FrameHeader header = decode_frame_header(bytes, 1ull << 40);
  EXPECT_EQ(header.json_bytes, 0x010203u);
  EXPECT_EQ(header.payload_bytes, 0x0102030405ull);
}

void expect_protocol_error(std::array<std::byte, kFrameHeaderBytes> bytes) {
  try {
    decode_frame_header(bytes, 1000);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.status, Status::backend_failed);
    EXPECT_EQ(error.code, "worker_protocol");
  }
}

TEST(Wire, RefusesForeignVersionAndLengths) {
  auto good = encode_frame_header({10, 1000});
  EXPECT_EQ(decode_frame_header(good, 1000).payload_bytes, 1000u);
  auto foreign = good;
  foreign[0] = std::byte{'G'};
  expect_protocol_error(foreign);
  auto version = good;
  version[3] = std::byte{kWireProtocolVersion + 1};
  expect_protocol_error(version);
  expect_protocol_error(encode_frame_header({10, 1001}));
  expect_protocol_error(encode_frame_header({kMaxFrameJsonBytes + 1, 0}));
  expect_protocol_error(encode_frame_header({10, ~0ull}));
}

TEST(Wire, EndOfStreamIsCleanOnlyBetweenFrames) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  std::array<std::byte, 4> sent{};
  write_exact(fds[1], sent);
  close(fds[1]);
  std::array<std::byte, 4> whole{};
  EXPECT_TRUE(read_exact(fds[0], whole));
  EXPECT_FALSE(read_exact(fds[0], whole));
  close(fds[0]);
  ASSERT_EQ(pipe(fds), 0);
  write_exact(fds[1], sent);
  close(fds[1]);
  std::array<std::byte, 5> longer{};
  EXPECT_THROW(read_exact(fds[0], longer), Error);
  close(fds[0]);
}

}  // namespace
}  // namespace crossval
