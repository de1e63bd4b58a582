// Any bytes as a GGUF whose vocabulary is of a kind that we read ourselves (t5, bert, rwkv,
// plamo2): the prompt's ids and their pieces, or an Error. One seed holds them all; which kind it
// is, is the first thing damage can change.
#include <algorithm>

#include "gguf/writer.h"
#include "support/charsmap.h"
#include "support/temp_dir.h"
#include "target.h"
#include "text/pieces.h"
#include "text/tokenizer.h"

namespace crossval::fuzz {
namespace {

constexpr const char* kKinds[] = {"t5", "rwkv", "plamo2", "bert"};

GgufWriter vocabulary(const std::string& kind) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "\u2581a", "ab", "b", "\\x0a", " "};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(token_of_byte(static_cast<unsigned char>(byte)));
  }
  std::vector<float> scores(tokens.size(), -1.0f);
  std::vector<int32_t> types(tokens.size(), 6);
  std::fill(types.begin(), types.begin() + 8, 1);
  types[0] = 2;
  types[1] = types[2] = 3;
  GgufWriter out;
  out.set_string("general.architecture", "llama");
  out.set_string("tokenizer.ggml.model", kind);
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_f32_array("tokenizer.ggml.scores", scores);
  out.set_i32_array("tokenizer.ggml.token_type", types);
  out.set_u32("tokenizer.ggml.unknown_token_id", 0);
  out.set_u32("tokenizer.ggml.bos_token_id", 1);
  out.set_u32("tokenizer.ggml.seperator_token_id", 2);
  out.set_u32("tokenizer.ggml.eos_token_id", 2);
  out.set_bool("tokenizer.ggml.add_space_prefix", true);
  out.set_u8_array("tokenizer.ggml.precompiled_charsmap",
                   testing::charsmap({{"a", "b"}, {"\xc3\xa9", "ab"}}));
  return out;
}

}  // namespace

// The kind turns with the seed; the rest of the file is damaged as any other.
std::string damaged_vocabulary(const std::string& good, size_t header_bytes, uint64_t seed) {
  static const std::vector<std::string> all = [] {
    const testing::TempDir folder;
    std::vector<std::string> files;
    for (const char* kind : kKinds) {
      vocabulary(kind).write(folder.file("m.gguf"));
      files.push_back(testing::read_text(folder.file("m.gguf")));
    }
    return files;
  }();
  (void)good;
  const std::string& file = all[seed % all.size()];
  return testing::damaged_copy(file, std::min(header_bytes, file.size()), seed / all.size());
}

Seed good_input() {
  const testing::TempDir folder;
  vocabulary(kKinds[0]).write(folder.file("m.gguf"));
  return {.bytes = testing::read_text(folder.file("m.gguf")), .damage = damaged_vocabulary};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  fuzz::read_or_refuse([&] {
    const fuzz::MemoryFile file({data, size});
    const auto tokenizer = Tokenizer::from_gguf(*ModelFile::open(file.path()));
    for (const bool special : {true, false}) {
      for (const int32_t id : tokenizer->encode("aab <s>ab\xc3\xa9\n 12\xff", special, special)) {
        tokenizer->piece(id);
      }
    }
  });
  return 0;
}
