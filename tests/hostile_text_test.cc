// Templates and tokenizers are programs of strangers: whatever one does is exit 3 with a reason,
// soon, and with bounded memory.
#include <gtest/gtest.h>

#include <chrono>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class HostileText : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_model(model_); }
  RunResult run(std::vector<std::string> more) {
    std::vector<std::string> args = {CROSSVAL_BIN,   "run", "--model",  model_, "--prompt", "a b",
                                     "--max-tokens", "0",   "--format", "json"};
    args.insert(args.end(), more.begin(), more.end());
    return run_program(args, {});
  }
  void expect_refusal(const RunResult& result, const std::string& code, const std::string& what) {
    EXPECT_EQ(result.exit_code, 3) << what << result.err;
    const auto json = nlohmann::json::parse(result.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << what << result.out;
    EXPECT_EQ(json["error"]["code"], code) << what << result.err;
    EXPECT_NE(json["error"]["fix"], "") << what;
  }
  TempDir dir_;
  std::string model_ = dir_.file("m.gguf");
};

TEST_F(HostileText, templates) {
  const std::pair<const char*, std::string> templates[] = {
      {"refers to itself", "{% set n = namespace() %}{% set n.n = n %}{{ n }}"},
      {"nested deep", "{{ " + std::string(17'000, '-') + "1 }}"},
      {"brackets", "{{ " + std::string(20'000, '[') + std::string(20'000, ']') + " }}"},
      {"wide number", "{{ \"%1000000000d\"|format(1) }}"},
      {"batch", "{{ [1]|batch(4000000000, 'x')|list }}"},
      {"doubled",
       "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}"
       "{% endfor %}{{ n.s|length }}"},
      {"calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"},
      {"not closed", "{% for x in messages %}"},
      {"loops",
       "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}"
       "{% endfor %}{% endfor %}{% endfor %}"},
  };
  for (const auto& [what, source] : templates) {
    write_text(dir_.file("t.jinja"), source);
    const auto start = std::chrono::steady_clock::now();
    expect_refusal(run({"--prompt-template", dir_.file("t.jinja")}), "template_failed", what);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 30) << what;  // a bound of ours, not a measurement
  }
}

TEST_F(HostileText, tokenizer_files) {
  const std::pair<const char*, std::string> files[] = {
      {"deep JSON", std::string(100'000, '[')},
      {"JSON of another kind", "{\"a\": 1}"},
      {"no file of either kind", std::string(1000, '\x7f')},
  };
  for (const auto& [what, content] : files) {
    write_text(dir_.file("tokenizer.json"), content);
    const RunResult result =
        run({"--prompt-template", "raw", "--tokenizer", dir_.file("tokenizer.json")});
    EXPECT_EQ(result.exit_code, 3) << what << result.err;
    EXPECT_TRUE(nlohmann::json::accept(result.out)) << what;
  }
}

}  // namespace
}  // namespace crossval::testing
