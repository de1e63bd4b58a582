#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::TempDir;
using testing::write_text;

class ChatTemplate : public ::testing::Test {
 protected:
  void open(const std::string& source) {
    GgufWriter out;
    out.set_string("general.architecture", "llama");
    out.set_string("tokenizer.ggml.model", "gpt2");
    out.set_string("tokenizer.ggml.pre", "gpt-2");
    out.set_string_array("tokenizer.ggml.tokens",
                         std::vector<std::string>{"<|begin_of_text|>", "</s>", "a"});
    out.set_i32_array("tokenizer.ggml.token_type", std::vector<int32_t>{3, 3, 1});
    out.set_string_array("tokenizer.ggml.merges", std::vector<std::string>{});
    out.set_u32("tokenizer.ggml.bos_token_id", 0);
    out.set_u32("tokenizer.ggml.eos_token_id", 1);
    if (!source.empty()) out.set_string("tokenizer.chat_template", source);
    out.write(dir_.file("m.gguf"));
    model_ = ModelFile::open(dir_.file("m.gguf"));
    tokenizer_ = Tokenizer::from_gguf(*model_);
  }
  FormattedPrompt format(const std::string& choice, const std::string& prompt,
                         const std::string& system = "") {
    return format_prompt(find_template(choice, *model_), prompt, system, *tokenizer_);
  }
  std::string failure(const std::string& choice, const std::string& system = "") {
    try {
      format(choice, "p", system);
    } catch (const Error& e) {
      EXPECT_EQ(e.status, Status::bad_input);
      return e.code;
    }
    return "accepted";
  }

  TempDir dir_;
  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(ChatTemplate, AutoTakesTheModelsOwnElseRaw) {
  open("");
  EXPECT_EQ(format("auto", "x").template_name, "raw");
  EXPECT_EQ(format("auto", "<|begin_of_text|>x").text, "<|begin_of_text|>x");
  open(
      "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{{ eos_token }}\n"
      "{% endfor %}{% if add_generation_prompt %}go{% endif %}");
  const auto p = format("auto", "x <&>", "s");
  EXPECT_EQ(p.template_name, "gguf");
  EXPECT_EQ(p.text, "<|begin_of_text|>[system]s</s>\n[user]x <&></s>\ngo");
  EXPECT_TRUE(p.starts_with_bos);
}

TEST_F(ChatTemplate, ASystemPromptThatTheTemplateLeavesOutIsRefused) {
  open("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}");
  EXPECT_EQ(format("auto", "x").text, "x");
  EXPECT_EQ(failure("auto", "s"), "unused_system_prompt");
  open("{% if messages[0].role == 'system' %}be kind{% endif %}{{ messages[-1].content }}");
  EXPECT_EQ(failure("auto", "s"), "unused_system_prompt");
  open("{{ messages[0].content | trim }}");
  EXPECT_EQ(format("auto", "x", " s ").text, "s");
}

TEST_F(ChatTemplate, BuiltInNames) {
  open("");
  EXPECT_EQ(format("instruct", "What?").text, "Q: What?\nA:");
  EXPECT_EQ(format("instruct", "What?", "S").text, "System: S\n\nQ: What?\nA:");
  const auto llama3 = format("llama3-chat", "Hi", "S");
  EXPECT_EQ(llama3.text,
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_TRUE(llama3.starts_with_bos);
  const auto chatml = format("chatml", " Hi \n");
  EXPECT_EQ(chatml.text, "<|im_start|>user\n Hi \n<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_FALSE(chatml.starts_with_bos);
  EXPECT_EQ(format("llama2-chat", "Hi", "S").text,
            "<|begin_of_text|>[INST] <<SYS>>\nS\n<</SYS>>\n\nHi [/INST]");
  EXPECT_EQ(format("bitnet", " Hi ").text, "<|begin_of_text|>User: Hi<|eot_id|>Assistant: ");
  for (const std::string& name : prompt_template_names()) {
    EXPECT_NE(format(name, "MARK").text.find("MARK"), std::string::npos) << name;
  }
}

// What chat templates use beyond the core of Jinja.
TEST_F(ChatTemplate, PythonAndTransformersExtras) {
  open("");
  const auto render = [&](const std::string& source) {
    write_text(dir_.file("t.jinja"), source);
    return format(dir_.file("t.jinja"), "a<b> \"é\"").text;
  };
  EXPECT_EQ(render("{{ messages[0] | tojson }}"),
            "{\"role\": \"user\", \"content\": \"a<b> \\\"é\\\"\"}");
  EXPECT_EQ(render("{{ ' x '.strip() }}{{ 'a,b'.split(',')[-1] }}{{ 'ab'.startswith('a') }}"),
            "xbTrue");
  EXPECT_EQ(render("{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] %}{% if i == 3 %}{% break %}"
                   "{% endif %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}"),
            "3");
  EXPECT_EQ(render("{% if tools is iterable %}1{% else %}0{% endif %}"), "0");
  EXPECT_EQ(render("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(1) }}"), "<1>");
  EXPECT_EQ(render("x\n  {% generation %}\ny{% endgeneration %}"), "x\ny");
  EXPECT_EQ(render("{{ strftime_now('%Y') | length }}"), "4");
}

TEST_F(ChatTemplate, Refusals) {
  open("{{ raise_exception('System role not supported') }}");
  EXPECT_EQ(failure("auto"), "template_failed");
  EXPECT_EQ(failure("no-such-name"), "unknown_template");
  EXPECT_EQ(failure("raw", "system"), "unused_system_prompt");
  EXPECT_EQ(failure(dir_.file("missing.jinja")), "missing_file");
  write_text(dir_.file("t.jinja"), "{% for m in %}");
  EXPECT_EQ(failure(dir_.file("t.jinja")), "template_failed");
  // An untrusted template must not hang the program.
  write_text(dir_.file("t.jinja"),
             "{% for i in range(10000) %}{% for j in range(10000) %}{% set x = i * j %}{% endfor %}"
             "{% endfor %}");
  EXPECT_EQ(failure(dir_.file("t.jinja")), "template_failed");
  EXPECT_THROW(format("chatml", "\xff"), Error);
}

}  // namespace
}  // namespace crossval
