// The worker's half of a conversation (docs/protocol.md), for workers in C++: a request as it
// comes, and what an error is as a reply. Both are compiled with the worker.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/wire.h"

namespace crossval {

struct WorkerRequest {
  nlohmann::json header;
  std::vector<std::byte> payload;
};

// False when there are no more. Throws what decode_frame_header and JSON's parser do.
inline bool read_request(WorkerRequest& out) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  if (!read_exact(kWorkerRequestFd, bytes)) return false;
  const FrameHeader header = decode_frame_header(bytes, kMaxRequestPayloadBytes);
  std::string text(header.json_bytes, '\0');
  out.payload.resize(header.payload_bytes);
  if (!read_exact(kWorkerRequestFd, std::as_writable_bytes(std::span(text))) ||
      (!out.payload.empty() && !read_exact(kWorkerRequestFd, out.payload))) {
    return false;
  }
  out.header = nlohmann::json::parse(text);
  return true;
}

inline nlohmann::json error_reply(const Error& error) {
  return {{"ok", false},
          {"error",
           {{"status", status_name(error.status)},
            {"code", error.code},
            {"what", error.what_},
            {"where", error.where},
            {"fix", error.fix}}}};
}

}  // namespace crossval
