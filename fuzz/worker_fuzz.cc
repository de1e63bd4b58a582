// What a worker says, as lines: the JSON of a reply, behind it the payload's size after a tab. The
// program holds a whole conversation with it, taps included, and ends it with its own answer or
// with an Error.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "engine/wire.h"
#include "support/damage_json.h"
#include "target.h"
#include "worker/worker_engine.h"

namespace crossval::fuzz {
namespace {

constexpr size_t kMaxPayloadBytes = 1 << 16;

void add_frame(const std::string& line, std::string& frames) {
  const size_t tab = line.find('\t');
  const std::string json = line.substr(0, tab);
  size_t announced = tab == line.npos ? 0 : std::strtoull(line.c_str() + tab, nullptr, 10);
  const auto header = encode_frame_header({static_cast<uint32_t>(json.size()), announced});
  frames.append(reinterpret_cast<const char*>(header.data()), header.size());
  frames += json;
  frames.append(std::min(announced, kMaxPayloadBytes), '?');
}

void converse(const std::string& replies) {
  // Says all of it at once, then listens until nobody asks any more.
  WorkerEngine engine(
      {.argv = {"/bin/sh", "-c", "cat \"$0\" >&4; exec 4>&-; cat <&3 >/dev/null", replies},
       .name = "fuzz",
       .timeout_ms = 5'000,
       .on_message = {}});
  engine.load("model.gguf", 1, {});
  engine.tokenize("ab", {});
  engine.piece(3);
  engine.reset(8);
  const std::array<TokenId, 2> ids = {1, 2};
  size_t n_bytes = 0;
  engine.eval_with_taps(ids, {}, [&](Tap tap) { n_bytes += tap.out.data.size(); });
  if (engine.info().n_vocab > 1 << 20) return;  // hundreds of megabytes each time
  std::vector<float> rows(static_cast<size_t>(engine.info().n_vocab));
  engine.read_logits(1, 1, rows);
}

}  // namespace

Seed good_input() {
  return {.bytes =
              R"({"ok":true,"protocol":1,"engine":"fuzz","version":"1","taps":true})"
              "\n"
              R"({"ok":true,"n_vocab":4,"n_ctx_train":8,"settings":{"a":"b"},"device":"CPU"})"
              "\n"
              R"({"ok":true})"
              "\t8\n"
              R"({"ok":true})"
              "\t1\n"
              R"({"ok":true,"n_vocab":4})"
              "\n"
              R"({"ok":true,"tap":{"name":"ffn_up-0","op":"MUL_MAT","occurrence":0,"layer":0,)"
              R"("params":[0,1],"tensors":[{"name":"ffn_up-0","type":"f32","ne":[2,2,1,1],)"
              R"("bytes":16},{"name":"blk.0.ffn_up.weight","type":"q4_0","ne":[32,2,1,1],)"
              R"("bytes":36,"weight":true},{"name":"norm","type":"f16","ne":[2,2,1,1],"bytes":8,)"
              R"("of":{"name":"norm-0","occurrence":0,"whole":true}}]}})"
              "\n"
              R"({"ok":true})"
              "\t16\n"
              R"({"ok":true})"
              "\t8\n"
              R"({"ok":true,"n_rows":2})"
              "\n"
              R"({"ok":true})"
              "\t16\n",
          .damage = testing::damaged_json_lines};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  std::string frames;
  for (std::string line; std::getline(lines, line);) fuzz::add_frame(line, frames);
  const fuzz::MemoryFile file({reinterpret_cast<const uint8_t*>(frames.data()), frames.size()});
  // A path that the worker can open too.
  const std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + file.path().substr(14);
  fuzz::read_or_refuse([&] { fuzz::converse(path); });
  return 0;
}
