// What a worker can do instead of answering, for the tools here that stand for workers. Each way is
// a word, some with an argument behind a colon.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace crossval::testing {

// What an honest worker would say.
struct WorkerReply {
  nlohmann::json header;
  std::vector<std::byte> payload;
};

void send(const WorkerReply& reply);

// Does what `mode` says in place of `honest`; false: nobody knows that word.
//   deaths     segv ill kill abort exit; signal:N; after:N (answers first); hang spin
//   frames     garbage text zeros magic version absurd gib json:N (bytes); cut:N cut_hang:N (after
//   N
//              bytes); drip drip_forever; truncate
//   JSON       badjson nook empty null utf8 nul twice_ok ok_text no_ok deep:N big
//   errors     error error_none error_text error_kinds error_agree error_escapes error_empty
//              error_huge error_payload
//   payloads   wrongsize more less odd none fill:HEX payload:HEX ids:N memory:JSON own_memory:KIND
//   values     set:POINTER=JSON, in the honest reply
//   order      double flood_replies
//   logs       spam flood flood_lines log_escapes log_escapes_exit close_log
//   descriptors close_reply close_requests close_all
//   processes  grandchild daemon daemon_exit writer bomb group session traced stop_parent
bool misbehave(const std::string& mode, const WorkerReply& honest);

}  // namespace crossval::testing
