// `crossval inspect`: both formats of good files, and the exit code and Error of bad ones.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/model_edit.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using nlohmann::json;
using testing::RunResult;
using testing::TempDir;

RunResult inspect(const std::string& path, bool as_json) {
  std::vector<std::string> args = {CROSSVAL_BIN, "inspect", path};
  if (as_json) args.insert(args.end(), {"--format", "json"});
  return testing::run_program(args);
}

TEST(Inspect, json_says_what_is_in_the_file) {
  const TempDir folder;
  const std::string path = folder.file("m.gguf");
  testing::write_tiny_model(path, {.n_layers = 2, .matrix_type = GgmlType::Q4_1});
  const RunResult result = inspect(path, true);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["schema"], "crossval/inspect/1");
  EXPECT_EQ(report["status"], "ok");
  EXPECT_EQ(report["architecture"], "llama");
  EXPECT_EQ(report["quantization"], "Q4_1");
  EXPECT_EQ(report["gguf_version"], 3);
  EXPECT_EQ(report["n_bytes"], testing::read_text(path).size());
  EXPECT_EQ(report["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(report["native"]["supported"], true);
  EXPECT_EQ(report["hyperparameters"]["attention.head_count_kv"], 2);
  EXPECT_EQ(report["vocabulary"]["model"], "gpt2");
  EXPECT_EQ(report["vocabulary"]["bos"]["text"], "<|im_start|>");
  EXPECT_EQ(report["vocabulary"]["has_chat_template"], false);
  EXPECT_EQ(report["metadata"]["tokenizer.ggml.tokens"]["count"], report["vocabulary"]["size"]);
  EXPECT_EQ(report["tensors"].size(), 2 * 9 + 3u);
  EXPECT_EQ(report["n_tensors"], 2 * 9 + 3);
  EXPECT_EQ(report["tensors"][2]["name"], "blk.0.attn_q.weight");
  EXPECT_EQ(report["tensors"][2]["shape"], json({64, 64}));
  EXPECT_EQ(report["tensors"][2]["type"], "Q4_1");
  EXPECT_TRUE(report["error"].is_null());

  const std::string text = inspect(path, false).out;
  for (const char* part : {"Q4_1", "llama", "blk.1.ffn_down.weight", "supported", "<|im_end|>",
                           "attention.layer_norm_rms_epsilon           1e-05"}) {
    EXPECT_NE(text.find(part), text.npos) << part;
  }
}

TEST(Inspect, says_why_native_cannot_run_a_model) {
  const TempDir folder;
  const std::string in = folder.file("in.gguf"), out = folder.file("out.gguf");
  testing::write_tiny_model(in);
  testing::ModelEdit edit(in);
  edit.metadata().set_string("general.architecture", "nobody\x1b[31m\xff");
  edit.write(out);
  const RunResult result = inspect(out, true);
  ASSERT_EQ(result.exit_code, 0);
  const json report = json::parse(result.out);
  EXPECT_EQ(report["native"]["supported"], false);
  EXPECT_NE(report["native"]["reason"].get<std::string>().find("nobody"), std::string::npos);
  EXPECT_EQ(inspect(out, false).out.find('\x1b'),
            std::string::npos);  // no escape reaches a terminal
}

TEST(Inspect, i2_s_codes_are_counted_and_damaged_tensors_named) {
  const TempDir folder;
  const std::string in = CROSSVAL_ROOT "/tests/data/bitnet-i2s/model.gguf";
  const json sound = json::parse(inspect(in, true).out);
  EXPECT_EQ(sound["native"]["supported"], true);
  EXPECT_EQ(sound["i2_s"]["n_tensors"], 21);
  EXPECT_EQ(sound["i2_s"]["codes"]["3"], 0);
  EXPECT_EQ(sound["i2_s"]["codes"]["-1"].get<int>() + sound["i2_s"]["codes"]["0"].get<int>() +
                sound["i2_s"]["codes"]["+1"].get<int>(),
            2359296);
  EXPECT_TRUE(sound["i2_s"]["damaged"].empty());

  testing::ModelEdit edit(in);
  const std::string name = "blk.1.ffn_up.weight";
  const TensorView& tensor = *edit.original().find_tensor(name);
  std::vector<std::byte> bytes(tensor.data.begin(), tensor.data.end());
  bytes[100] = std::byte{0xff};
  edit.replace(name, tensor.type, tensor.shape, bytes);
  edit.write(folder.file("m.gguf"));
  const json damaged = json::parse(inspect(folder.file("m.gguf"), true).out);
  EXPECT_EQ(damaged["i2_s"]["codes"]["3"], 4);
  ASSERT_EQ(damaged["i2_s"]["damaged"].size(), 1u);
  EXPECT_EQ(damaged["i2_s"]["damaged"][0]["tensor"], name);
  const std::string text = inspect(folder.file("m.gguf"), false).out;
  EXPECT_NE(text.find("DAMAGED " + name), text.npos);
}

TEST(Inspect, bad_files_are_exit_3_with_an_error) {
  const TempDir folder;
  const std::string path = folder.file("m.gguf");
  testing::write_text(path, "PK\x03\x04 not a model");
  for (const std::string& bad : {path, folder.path(), folder.file("missing")}) {
    const RunResult result = inspect(bad, true);
    EXPECT_EQ(result.exit_code, 3) << bad;
    const json report = json::parse(result.out);
    EXPECT_EQ(report["status"], "bad_input");
    EXPECT_EQ(report["exit_code"], 3);
    for (const char* field : {"code", "what", "where", "fix"}) {
      EXPECT_FALSE(report["error"][field].get<std::string>().empty()) << field;
    }
    const RunResult plain = inspect(bad, false);
    EXPECT_EQ(plain.exit_code, 3);
    EXPECT_TRUE(plain.out.empty());
    EXPECT_NE(plain.err.find(report["error"]["what"].get<std::string>()), std::string::npos);
  }
}

}  // namespace
}  // namespace crossval
