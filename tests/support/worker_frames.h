// A worker's side of the wire (docs/protocol.md), for the tools here that stand for workers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/wire.h"

namespace crossval::testing {

struct Frame {
  std::string text;
  std::vector<std::byte> payload;
};

// False at the end of the stream.
inline bool read_frame(int fd, Frame& frame) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (!read_exact(fd, bytes)) return false;
  const auto header = decode_frame_header(bytes, uint64_t{1} << 40);
  frame.text.resize(header.json_bytes);
  frame.payload.resize(header.payload_bytes);
  return read_exact(fd, std::as_writable_bytes(std::span(frame.text))) &&
         (frame.payload.empty() || read_exact(fd, frame.payload));
}

inline void write_frame(int fd, const std::string& text, std::span<const std::byte> payload = {}) {
  write_exact(fd, encode_frame_header({static_cast<uint32_t>(text.size()), payload.size()}));
  write_exact(fd, std::as_bytes(std::span(text)));
  write_exact(fd, payload);
}

}  // namespace crossval::testing
