// Implements the frame format of docs/protocol.md; no JSON here, only lengths and bytes.
#include "engine/wire.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace crossval {
namespace {

constexpr std::array<unsigned char, 4> kMagic = {'X', 'V', 'W', kWireProtocolVersion};

template <typename T>
void put_little_endian(std::byte* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out[i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <typename T>
T get_little_endian(const std::byte* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(in[i]) << (8 * i));
  }
  return value;
}

[[noreturn]] void protocol_error(const std::string& what) {
  backend_failed("worker_protocol", what, "worker protocol",
                 "the worker must speak protocol version " + std::to_string(kWireProtocolVersion) +
                     " (docs/protocol.md)");
}

}  // namespace

std::array<std::byte, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  std::memcpy(bytes.data(), kMagic.data(), kMagic.size());
  put_little_endian(bytes.data() + 4, header.json_bytes);
  put_little_endian(bytes.data() + 8, header.payload_bytes);
  return bytes;
}

FrameHeader decode_frame_header(std::span<const std::byte, kFrameHeaderBytes> bytes,
                                uint64_t max_payload_bytes) {
  if (std::memcmp(bytes.data(), kMagic.data(), 3) != 0) {
    protocol_error("the bytes received are not a frame of the worker protocol");
  }
  const int version = static_cast<int>(bytes[3]);
  if (version != kWireProtocolVersion) {
    protocol_error("the frame has protocol version " + std::to_string(version) + ", not " +
                   std::to_string(kWireProtocolVersion));
  }
  FrameHeader header;
  header.json_bytes = get_little_endian<uint32_t>(bytes.data() + 4);
  header.payload_bytes = get_little_endian<uint64_t>(bytes.data() + 8);
  if (header.json_bytes > kMaxFrameJsonBytes) {
    protocol_error("a frame announces " + std::to_string(header.json_bytes) +
                   " bytes of JSON, at most " + std::to_string(kMaxFrameJsonBytes) +
                   " are allowed");
  }
  if (header.payload_bytes > max_payload_bytes) {
    protocol_error("a frame announces a payload of " + std::to_string(header.payload_bytes) +
                   " bytes where at most " + std::to_string(max_payload_bytes) + " can follow");
  }
  return header;
}

bool read_exact(int fd, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::read(fd, out.data() + done, out.size() - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (n == 0) {
      if (done == 0) {
        return false;
      }
      protocol_error("the stream ended inside a frame");
    } else if (errno != EINTR) {
      protocol_error(std::string("reading a frame failed: ") + std::strerror(errno));
    }
  }
  return true;
}

void write_exact(int fd, std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      protocol_error(std::string("writing a frame failed: ") + std::strerror(errno));
    }
  }
}

}  // namespace crossval
