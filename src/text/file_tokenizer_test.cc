#include "text/file_tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"
#include "text/sentencepiece_model.h"

namespace crossval {
namespace {

using testing::TempDir;
using testing::write_text;
using Ids = std::vector<int32_t>;

constexpr const char* kJson = R"({"version": "1.0", "truncation": null, "padding": null,
 "added_tokens": [{"id": 4, "content": "<x>", "single_word": false, "lstrip": false,
   "rstrip": false, "normalized": false, "special": true}],
 "normalizer": null,
 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
   "use_regex": true},
 "post_processor": null, "decoder": null,
 "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
   "byte_fallback": false, "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<x>": 4, "<": 5, "x": 6, ">": 7},
   "merges": ["a b"]}})";

class FileTokenizer : public ::testing::Test {
 protected:
  FileTokenizer() {
    GgufWriter out;
    out.set_string("general.architecture", "llama");
    out.set_u32("tokenizer.ggml.bos_token_id", 1);
    out.set_bool("tokenizer.ggml.add_bos_token", true);
    out.write(dir_.file("m.gguf"));
    model_ = ModelFile::open(dir_.file("m.gguf"));
  }
  std::unique_ptr<Tokenizer> open(const std::string& name, const std::string& content) {
    write_text(dir_.file(name), content);
    return Tokenizer::from_file(dir_.file(name), *model_);
  }
  TempDir dir_;
  std::shared_ptr<const ModelFile> model_;
};

TEST_F(FileTokenizer, TokenizerJson) {
  const auto t = open("tokenizer.json", kJson);
  EXPECT_EQ(t->encode("ab a<x>", false, true), (Ids{2, 3, 0, 4}));
  EXPECT_EQ(t->encode("a<x>", false, false), (Ids{0, 5, 6, 7}));
  EXPECT_EQ(t->encode("b", true, true), (Ids{1, 1}));  // BOS as the GGUF says
  EXPECT_EQ(t->piece(3), " ");
  EXPECT_EQ(t->piece(4), "<x>");
  EXPECT_EQ(t->n_vocab(), 8);
}

TEST_F(FileTokenizer, SentencePieceModel) {
  const std::vector<std::string> tokens = {"a", "b", "ab"};
  const std::vector<float> scores = {-1, -2, -0.5f};
  const auto t = open("tokenizer.model", sentencepiece_bpe_model(tokens, scores));
  EXPECT_EQ(t->encode("aabb", false, true), (Ids{0, 2, 1}));
  EXPECT_EQ(t->n_vocab(), 4);
}

TEST_F(FileTokenizer, RefusesWhatIsNeither) {
  for (const char* content : {"{\"a\": 1}", "{", "garbage", " "}) {
    try {
      open("tokenizer.json", content);
      ADD_FAILURE() << content;
    } catch (const Error& e) {
      EXPECT_EQ(e.code, "bad_tokenizer") << content;
    }
  }
  EXPECT_THROW(Tokenizer::from_file(dir_.file("missing.json"), *model_), Error);
  EXPECT_THROW(open("t.json", kJson)->encode("\xff", false, true), Error);
}

}  // namespace
}  // namespace crossval
