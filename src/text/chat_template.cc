#include "text/chat_template.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/closest.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "text/builtin_templates.h"
#include "text/hf_bridge.h"
#include "text/utf8.h"

namespace crossval {
namespace {

constexpr const char* kFlag = "--prompt-template";

// The variables `transformers` gives a template for one prompt.
std::string variables(const std::string& prompt, const std::string& system,
                      const std::string& bos_token, const std::string& eos_token) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  nlohmann::ordered_json context;
  context["messages"] = std::move(messages);
  context["add_generation_prompt"] = true;
  context["bos_token"] = bos_token;
  context["eos_token"] = eos_token;
  context["tools"] = nullptr;
  context["documents"] = nullptr;
  // Token texts of a damaged vocabulary may be anything; the prompt was checked.
  return context.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string token_text(const Tokenizer& tokenizer, int32_t id) {
  return id >= 0 ? tokenizer.piece(id) : "";
}

bool is_file_choice(const std::string& choice) {
  return choice.ends_with(".jinja") || choice.ends_with(".jinja2") || choice.ends_with(".j2") ||
         choice.find('/') != std::string::npos;
}

}  // namespace

PromptTemplate find_template(const std::string& choice, const ModelFile& model) {
  if (choice == "auto") {
    const char* key = "tokenizer.chat_template";
    if (auto source = model.get_string(key)) {
      return {"gguf", *std::move(source), fmt::format("{}: metadata key '{}'", model.path(), key)};
    }
    return {"raw", "", ""};
  }
  if (choice == "raw") return {"raw", "", ""};
  for (const BuiltinTemplate& entry : builtin_templates()) {
    if (entry.name == choice) {
      return {choice, std::string(entry.source), fmt::format("{} {}", kFlag, choice)};
    }
  }
  if (is_file_choice(choice)) {
    const MappedFile file(choice, "prompt template");
    return {
        choice, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, choice};
  }
  const std::string like = closest_word(choice, prompt_template_names());
  bad_input("unknown_template", fmt::format("no template is called '{}'", printable(choice)), kFlag,
            fmt::format("{}use auto, FILE.jinja, or one of: {}",
                        like.empty() ? "" : fmt::format("did you mean '{}'? ", like),
                        fmt::join(prompt_template_names(), ", ")));
}

FormattedPrompt format_prompt(const PromptTemplate& chosen, const std::string& prompt,
                              const std::string& system, const Tokenizer& tokenizer) {
  if (chosen.name == "raw") {
    if (!system.empty()) {
      bad_input("unused_system_prompt", "the raw template has no place for a system prompt",
                "--system-prompt",
                "choose a --prompt-template with a system role, or leave --system-prompt out");
    }
    return {"raw", prompt, false};
  }
  if (!is_valid_utf8(prompt) || !is_valid_utf8(system)) {
    bad_input("bad_text", "a template needs a prompt in valid UTF-8", "prompt",
              "write the prompt as UTF-8, or use --prompt-template raw");
  }
  const std::string bos = token_text(tokenizer, tokenizer.rules().bos_id);
  const std::string eos = token_text(tokenizer, tokenizer.rules().eos_id);
  FormattedPrompt out;
  out.template_name = chosen.name;
  try {
    out.text = hf_render(chosen.source, variables(prompt, system, bos, eos));
    // Another system prompt and the same text: the template leaves it out.
    if (!system.empty() &&
        hf_render(chosen.source, variables(prompt, system + ".", bos, eos)) == out.text) {
      bad_input("unused_system_prompt", "the prompt template has no place for a system prompt",
                chosen.where,
                "leave --system-prompt out, or choose a --prompt-template with a system role");
    }
  } catch (const HfError& e) {
    bad_input("template_failed", fmt::format("the prompt template failed: {}", e.what()),
              chosen.where,
              fmt::format("{}use --prompt-template raw, a built-in name, or a corrected FILE.jinja",
                          system.empty() ? "" : "leave --system-prompt out, "));
  }
  out.starts_with_bos = !bos.empty() && out.text.starts_with(bos);
  return out;
}

const std::vector<std::string>& prompt_template_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out = {"raw"};
    for (const BuiltinTemplate& entry : builtin_templates()) out.emplace_back(entry.name);
    return out;
  }();
  return names;
}

}  // namespace crossval
