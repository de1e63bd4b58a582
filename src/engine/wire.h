// Frames between the program and a worker process (docs/protocol.md): a 16-byte header, a JSON
// object, raw bytes. Both sides compile this file; every length is checked before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crossval {

inline constexpr int kWireProtocolVersion = 1;
inline constexpr int kWorkerRequestFd = 3;  // the worker reads requests here
inline constexpr int kWorkerReplyFd = 4;    // and writes replies here
inline constexpr int kWorkerModelFd = 5;    // of a model that has no name any more
inline constexpr size_t kFrameHeaderBytes = 16;
inline constexpr uint32_t kMaxFrameJsonBytes = 16u << 20;
inline constexpr uint64_t kMaxRequestPayloadBytes = 1ull << 30;

struct FrameHeader {
  uint32_t json_bytes = 0;
  uint64_t payload_bytes = 0;
};

// 'X' 'V' 'W' version | u32 JSON length | u64 payload length, little endian.
std::array<std::byte, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header);

// Throws backend_failed "worker_protocol" on a foreign magic, another version or a length above
// the limits.
FrameHeader decode_frame_header(std::span<const std::byte, kFrameHeaderBytes> bytes,
                                uint64_t max_payload_bytes);

// Blocking transfers, for the worker's side. read_exact: false on a clean end of file before the
// first byte; throws on an end inside or an error. write_exact throws when the reader is gone.
bool read_exact(int fd, std::span<std::byte> out);
void write_exact(int fd, std::span<const std::byte> bytes);

}  // namespace crossval
