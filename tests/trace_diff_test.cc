// Tensors saved by `run --save-trace --taps` and compared by `trace-diff`, whole program; native
// alone, so that it runs where no backend was brought.
#include <gtest/gtest.h>

#include <cstring>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class TraceDiff : public ::testing::Test {
 protected:
  TraceDiff() { write_tiny_model(model_); }

  // A trace of native over some ids.
  std::string saved(const std::string& name, const std::string& model,
                    std::vector<std::string> more) {
    const std::string path = dir_.file(name);
    std::vector<std::string> args = {"run",      "--model",      model,
                                     "--tokens", "5,9,2,14,7",   "--max-tokens",
                                     "2",        "--save-trace", path};
    args.insert(args.end(), more.begin(), more.end());
    const CrossvalResult result = run_crossval(CROSSVAL_BIN, args);
    EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
    return path;
  }
  CrossvalResult diff(const std::string& a, const std::string& b) {
    return run_crossval(CROSSVAL_BIN, {"trace-diff", a, b});
  }

  TempDir dir_;
  std::string model_ = dir_.file("model.gguf");
};

TEST_F(TraceDiff, AgreesWhereEveryTensorDoes) {
  const std::string a = saved("a", model_, {"--taps", ".*", "--threads", "1"});
  const std::string b = saved("b", model_, {"--taps", ".*", "--threads", "2"});
  const CrossvalResult result = diff(a, b);
  EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
  EXPECT_EQ(result.json()["status"], "agree");
  // embd, 15 of each of two layers, result_norm, result_output (".*" names it)
  EXPECT_EQ(result.json()["n_taps"], 33);
  EXPECT_TRUE(result.json()["unpaired"].empty());
  EXPECT_TRUE(result.json()["first_divergence"].is_null());
}

TEST_F(TraceDiff, NamesTheFirstTensorThatDiffers) {
  ModelEdit edit(model_);
  edit.metadata().set_f32("llama.rope.freq_base", 50000.0f);
  edit.write(dir_.file("other.gguf"));
  const CrossvalResult result = diff(saved("a", model_, {"--taps", ".*"}),
                                     saved("b", dir_.file("other.gguf"), {"--taps", ".*"}));
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  const auto& first = result.json()["first_divergence"];
  EXPECT_EQ(first["tensor"], "Qcur-0");
  EXPECT_EQ(first["op"], "ROPE");
  EXPECT_EQ(first["layer"], 0);
}

// A file as another program writes one (docs/trace-file.md): no metadata, so no operations.
TEST_F(TraceDiff, TensorsOfAFileFromElsewhereAreFoundByName) {
  const std::string a = saved("a", model_, {"--taps", "^(l_out|ffn_up)"});
  ModelEdit edit(model_);
  edit.metadata().set_f32("llama.rope.freq_base", 50000.0f);
  edit.write(dir_.file("other.gguf"));
  for (const std::string& model : {model_, dir_.file("other.gguf")}) {
    const std::string bytes = read_text(saved("b", model, {"--taps", "^l_out"}));
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    auto header = nlohmann::json::parse(bytes.substr(sizeof length, length));
    header.erase("__metadata__");
    const std::string text = header.dump();
    const uint64_t own_length = text.size();
    write_text(dir_.file("c"),
               std::string(reinterpret_cast<const char*>(&own_length), sizeof own_length) + text +
                   bytes.substr(sizeof length + length));
    const CrossvalResult result = diff(a, dir_.file("c"));
    EXPECT_EQ(result.json()["n_taps"], 2) << result.run.err;
    EXPECT_EQ(result.run.exit_code, model == model_ ? 0 : 1);
  }
}

TEST_F(TraceDiff, NothingComparedIsNeverAgreement) {
  const std::string with = saved("a", model_, {"--taps", "^l_out"});
  const std::string without = saved("b", model_, {});
  const std::string others = saved("c", model_, {"--taps", "^ffn_up"});
  for (const auto& [a, b, code] : {std::tuple{with, without, "no_taps"},
                                   {without, with, "no_taps"},
                                   {without, without, "no_taps"},
                                   {with, others, "nothing_compared"}}) {
    const CrossvalResult result = diff(a, b);
    EXPECT_EQ(result.run.exit_code, 3);
    EXPECT_EQ(result.json()["status"], "bad_input");
    EXPECT_EQ(result.json()["error"]["code"], code);
    EXPECT_FALSE(result.run.err.empty());
  }
}

TEST_F(TraceDiff, ABadExpressionIsBadInput) {
  const CrossvalResult result = run_crossval(
      CROSSVAL_BIN,
      {"run", "--model", model_, "--tokens", "1", "--save-trace", dir_.file("t"), "--taps", "("});
  EXPECT_EQ(result.run.exit_code, 3);
  EXPECT_EQ(result.json()["error"]["where"], "--taps");
}

}  // namespace
}  // namespace crossval::testing
