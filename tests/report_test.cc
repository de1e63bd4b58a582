// `crossval report`: receipts that the program itself wrote become one page; a bad one leaves none.
#include <gtest/gtest.h>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class ReportCommand : public ::testing::Test {
 protected:
  // A comparison of native with native, on two files when `change` makes another.
  std::string receipt(const std::string& name, bool changed) {
    write_tiny_model(dir_.file("m.gguf"), {.matrix_type = GgmlType::Q4_1});
    std::vector<std::string> args = {"per-token",
                                     "--model",
                                     dir_.file("m.gguf"),
                                     "--prompt",
                                     "a <script>alert(1)</script> prompt",
                                     "--backend",
                                     "native",
                                     "--prompt-template",
                                     "raw",
                                     "--receipt",
                                     dir_.file(name)};
    if (changed) {
      ModelEdit edit(dir_.file("m.gguf"));
      edit.negate("blk.1.ffn_up.weight");
      edit.write(dir_.file("changed.gguf"));
      args.insert(args.end(), {"--backend-model", dir_.file("changed.gguf")});
    }
    const CrossvalResult result = run_crossval(CROSSVAL_BIN, args);
    EXPECT_EQ(result.run.exit_code, changed ? 1 : 0) << result.run.err;
    return dir_.file(name);
  }
  RunResult report(std::vector<std::string> args) {
    args.insert(args.begin(), {CROSSVAL_BIN, "report"});
    return run_program(args);
  }
  void expect_refused(const std::vector<std::string>& args, const std::string& words) {
    const RunResult result = report(args);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
  }
  TempDir dir_;
};

TEST_F(ReportCommand, OnePageOfSeveralReceipts) {
  const std::string good = receipt("good.json", false), bad = receipt("bad.json", true);
  const std::string page = dir_.file("page.html");
  const RunResult result = report({good, bad, "-o", page});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("2 receipts: 1 agree, 1 diverged"), std::string::npos) << result.err;
  const std::string html = read_text(page);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  for (const char* part : {"&lt;script&gt;", "✓ agree", "✗ diverged", "href=\"#r2\"", "<svg",
                           "Around the first divergence", "changed.gguf"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(report({good, bad, "-o", page, "--quiet"}).err, "");
  EXPECT_EQ(read_text(page), html);  // the same receipts, the same bytes
}

TEST_F(ReportCommand, ATraceOfARealEngine) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  ModelEdit edit(smollm2);
  edit.scale("blk.3.attn_norm.weight", 1.01F);
  edit.write(dir_.file("scaled.gguf"));
  RunOptions options;
  options.env.emplace("LLAMA_CPP_DIR", llama_new);
  const CrossvalResult trace =
      run_crossval(CROSSVAL_BIN,
                   {"trace", "--model", smollm2, "--backend-model", dir_.file("scaled.gguf"),
                    "--prompt", "Hello", "--receipt", dir_.file("trace.json")},
                   options);
  ASSERT_EQ(trace.run.exit_code, 1) << trace.run.err;
  ASSERT_EQ(report({dir_.file("trace.json"), "-o", dir_.file("p.html")}).exit_code, 0);
  const std::string html = read_text(dir_.file("p.html"));
  const auto tensor = trace.json()["first_divergence"]["tensor"].get<std::string>();
  EXPECT_NE(html.find(", " + tensor + ","), std::string::npos);
  EXPECT_NE(html.find("Worst tensor of each layer"), std::string::npos);
}

TEST_F(ReportCommand, ABadReceiptLeavesNoPage) {
  const std::string good = receipt("good.json", false), page = dir_.file("page.html");
  const std::string text = read_text(good);
  write_text(dir_.file("cut.json"), text.substr(0, text.size() / 2));
  write_text(dir_.file("deep.json"), std::string(1'000'000, '['));
  write_text(dir_.file("other.json"), R"({"schema": "crossval/other/1"})");
  expect_refused({good, dir_.file("cut.json"), "-o", page}, "cut.json");
  expect_refused({dir_.file("deep.json"), "-o", page}, "nested more than");
  expect_refused({dir_.file("other.json"), "-o", page}, "crossval/other/1");
  expect_refused({dir_.file("absent.json"), "-o", page}, "absent.json");
  expect_refused({good, "-o", good}, "replace the receipt");
  expect_refused({good}, "--output");
  expect_refused({"-o", page}, "RECEIPT");
  expect_refused({good, "-o", dir_.file("no/such/folder.html")}, "folder");
  EXPECT_FALSE(std::filesystem::exists(page));
  EXPECT_EQ(read_text(good), text);
}

}  // namespace
}  // namespace crossval::testing
