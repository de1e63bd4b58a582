// An engine with the model's chat template of its own: where that writes another text than the
// model file's, ids part and the first byte that differs is named. A worker of Python's library.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class OwnTemplate : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(dir_.file("plain.gguf"));
    ModelEdit edit(dir_.file("plain.gguf"));
    edit.metadata().set_string("tokenizer.chat_template",
                               "{% for m in messages %}a{{ m.content }}b{% endfor %}");
    edit.write(model_);
    // The example worker, with a template, and the UTF-8 bytes of a text as its ids.
    write_text(dir_.file("worker.py"), fmt::format(R"(#!/usr/bin/env python3
import sys
sys.path.insert(0, "{}/docs/examples")
import array, worker
plain = worker.answer
def answer(engine, request, payload):
    if request["op"] == "hello":
        reply, data = plain(engine, request, payload)
        return {{**reply, "renders": True, "tokenizes": True}}, data
    if request["op"] == "render":
        text = "".join(OPEN + m["content"] + "b" for m in request["messages"])
        return ({{}} if OPEN else {{"template": False}}), text.encode() if OPEN else b""
    if request["op"] == "tokenize":
        return {{}}, array.array("i", list(payload)).tobytes()
    return plain(engine, request, payload)
worker.answer = answer
OPEN = sys.argv[0].rsplit("/", 1)[1].partition("-")[2]
worker.main()
)",
                                                   root));
  }
  // With what a worker of this name begins a turn; "" = it has no template.
  CrossvalResult run(const std::string& open, const std::string& prompt_template = "auto") {
    const std::string worker = dir_.file(open.empty() ? "worker" : "worker-" + open);
    std::filesystem::copy(dir_.file("worker.py"), worker);
    std::filesystem::permissions(worker, std::filesystem::perms::owner_all);
    return run_crossval(CROSSVAL_BIN,
                        {"per-token", "--model", model_, "--prompt", "xyz", "--prompt-template",
                         prompt_template, "--backend", "worker:" + worker, "--ladder", "tokens"});
  }
  static std::string rule(const CrossvalResult& result) {
    return result.json()["tokens"]["first_mismatch"]["rule"].get<std::string>();
  }

  TempDir dir_;
  const std::string model_ = dir_.file("m.gguf");
};

TEST_F(OwnTemplate, AnotherTextIsNamedAtItsFirstByte) {
  const CrossvalResult result = run("aQ");
  EXPECT_EQ(result.run.exit_code, 2) << result.run.err << result.run.out;
  EXPECT_EQ(rule(result), "template");
  const std::string hint = result.json()["tokens"]["first_mismatch"]["hint"].get<std::string>();
  EXPECT_NE(hint.find("from byte 1 on: \"Qxyzb\""), std::string::npos) << hint;
  EXPECT_NE(hint.find("has \"xyzb\""), std::string::npos) << hint;
  EXPECT_EQ(result.json()["tokens"]["backend"].size(), 6u);  // of its own text
}

TEST_F(OwnTemplate, TheSameTextNoTemplateOrAnotherChoiceIsNoFaultOfIt) {
  const CrossvalResult same = run("a");
  EXPECT_EQ(same.json()["tokens"]["backend"].size(), 5u) << same.run.out;
  EXPECT_NE(rule(same), "template");  // its ids are bytes, and so others
  const CrossvalResult none = run("");
  EXPECT_EQ(none.json()["tokens"]["backend"].size(), 5u) << none.run.out;
  EXPECT_NE(rule(none), "template");
  EXPECT_EQ(run("zz", "raw").json()["tokens"]["backend"].size(), 3u);
}

}  // namespace
}  // namespace crossval::testing
