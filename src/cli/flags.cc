#include "cli/flags.h"

#include <fmt/format.h>

#include "cli/last_words.h"
#include "compare/metrics.h"
#include "gguf/i2_s_layout.h"
#include "render/renderers.h"
#include "text/chat_template.h"

namespace crossval {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const MetricInfo& metric : metric_table()) names.emplace_back(metric.name);
  return names;
}

// More than anybody waits, and few enough to be counted in milliseconds. CLI11's own check takes
// what is no number (nan) for positive.
CLI::Validator seconds() {
  constexpr double most = 1e9;
  return {[](const std::string& text) -> std::string {
            double value = 0;
            const bool is_good =
                CLI::detail::lexical_cast(text, value) && value > 0 && value <= most;
            return is_good ? "" : text + " is not a number of seconds, above 0 and up to 1e9";
          },
          ""};
}

}  // namespace

void add_common_flags(CLI::App& command, CommonOptions& options) {
  command.add_flag("--verbose", options.verbose,
                   "Engine choice, each worker message with its size and time, engine logs");
  command.add_flag("--quiet", options.quiet, "Nothing on stderr but errors");
  command.add_option("--threads", options.n_threads, "Threads of each engine (default: all cores)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  choice<ProgressMode>(command.add_option("--progress", options.progress,
                                          "Progress on stderr; auto = on a terminal"),
                       {{"auto", ProgressMode::automatic},
                        {"always", ProgressMode::always},
                        {"never", ProgressMode::never}},
                       "auto|always|never");
  command
      .add_option_function<double>("--deadline", start_deadline,
                                   "Seconds until the whole run has to be over")
      ->check(seconds())
      ->type_name("SECONDS");
  add_format_flag(command, options.format);
}

void add_format_flag(CLI::App& command, std::string& format) {
  std::vector<std::string> names;
  std::string meanings;
  for (const Renderer& renderer : renderers()) {
    names.emplace_back(renderer.name);
    meanings +=
        fmt::format("{}{} ({})", meanings.empty() ? "" : ", ", renderer.name, renderer.meaning);
  }
  command.add_option("--format", format, "Result on stdout: " + meanings)
      ->check(CLI::IsMember(names).description(""))
      ->capture_default_str()
      ->type_name(fmt::format("{}", fmt::join(names, "|")));
}

namespace {

// CLI11's own groups of options are no way to say it: such a group is a command without a name, and
// CLI11 2.1 takes an empty word for that name and never comes back.
void require_one_of(CLI::App& command, std::vector<const CLI::Option*> options) {
  command.parse_complete_callback([options = std::move(options)] {
    const auto n_given = static_cast<size_t>(
        std::ranges::count_if(options, [](const CLI::Option* one) { return one->count() > 0; }));
    if (n_given == 1) return;
    std::vector<std::string> names;
    for (const CLI::Option* one : options) names.push_back(one->get_name());
    throw CLI::RequiredError::Option(1, 1, n_given, fmt::format("{}", fmt::join(names, ",")));
  });
}

}  // namespace

void add_prompt_flags(CLI::App& command, PromptOptions& options) {
  auto* prompt = command.add_option("--prompt", options.prompt, "The prompt")->type_name("TEXT");
  auto* file =
      command.add_option("--prompt-file", options.prompt_file, "The whole file is the prompt")
          ->type_name("FILE");
  auto* tokens = command.add_option("--tokens", options.tokens, "Ids: 1,2,3 (no tokenisation)")
                     ->type_name("IDS");
  auto* tokens_file =
      command.add_option("--tokens-file", options.tokens_file, "A file of ids")->type_name("FILE");
  auto* prompts =
      command
          .add_option("--prompts", options.prompts_file,
                      "Many prompts: one {\"prompt\": ...} or {\"tokens\": [...]} a line")
          ->type_name("FILE.jsonl");
  prompt->each([&options](const std::string&) { options.has_prompt = true; });
  tokens->each([&options](const std::string&) { options.has_tokens = true; });
  const std::vector<const CLI::Option*> sources = {prompt, file, tokens, tokens_file, prompts};
  for (CLI::Option* one : {prompt, file, tokens, tokens_file, prompts}) {
    one->group("Prompt, one of these");
  }
  require_one_of(command, sources);
  command
      .add_option("--prompt-template", options.prompt_template,
                  "auto (the GGUF's chat template, else raw), FILE.jinja, or one of: " +
                      join(prompt_template_names()))
      ->capture_default_str()
      ->type_name("NAME");
  command.add_option("--system-prompt", options.system_prompt, "System message of the template")
      ->type_name("TEXT");
  command.add_option("--special", options.special, "Special tokens written in the prompt")
      ->check(CLI::IsMember({"parse", "text"}).description(""))
      ->capture_default_str()
      ->type_name("parse|text");
  command.add_option("--bos", options.bos, "Beginning-of-text token; auto = as the metadata says")
      ->check(CLI::IsMember({"auto", "on", "off"}).description(""))
      ->capture_default_str()
      ->type_name("auto|on|off");
}

void add_model_flags(CLI::App& command, ModelOptions& options) {
  command.add_option("--model", options.model, "GGUF model, or the first part of a split one")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--tokenizer", options.tokenizer,
                  "tokenizer.json or SentencePiece .model (default: the one inside the GGUF)")
      ->type_name("FILE");
  command
      .add_option("--max-tokens", options.max_tokens, "Tokens to decode greedily after the prompt")
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->capture_default_str()
      ->type_name("N");
  choice<NumericsChoice>(
      command.add_option("--numerics", options.numerics,
                         "Native arithmetic; ggml rounds activations as ggml does"),
      {{"auto", NumericsChoice::automatic},
       {"exact", NumericsChoice::exact},
       {"ggml", NumericsChoice::ggml}},
      "auto|exact|ggml");
  command
      .add_option("--backend-opt", options.backend_opts,
                  "Engine setting, may be repeated: flash_attn, kv_type, extra_bufts, ubatch, ...")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command.add_option("--timeout", options.timeout_s, "Seconds a worker may take for one message")
      ->check(seconds())
      ->capture_default_str()
      ->type_name("SECONDS");
  add_sandbox_flag(command, options.sandbox);
  command
      .add_option("--sandbox-write", options.sandbox_write,
                  "A path that workers may write, may be repeated: /dev/nvidia0, /dev/dri, ...")
      ->type_name("PATH")
      ->allow_extra_args(false);
  add_i2_s_flag(command, options.i2_s_layout);
}

void add_sandbox_flag(CLI::App& command, Sandbox& sandbox) {
  choice<Sandbox>(
      command.add_option("--sandbox", sandbox,
                         "Rights of crossval and its workers: what the kernel can refuse them "
                         "(auto), all of it or no run (strict), yours (off); docs/security.md"),
      {{"auto", Sandbox::automatic}, {"strict", Sandbox::strict}, {"off", Sandbox::off}},
      "auto|strict|off");
}

void add_i2_s_flag(CLI::App& command, std::string& layout) {
  std::vector<std::string> names = {"auto"};
  for (const I2sLayoutInfo& info : i2_s_layouts()) names.emplace_back(info.name);
  command
      .add_option("--i2s-layout", layout,
                  "How I2_S weights are laid out, where sizes cannot say it: " + join(names))
      ->check(CLI::IsMember(names).description(""))
      ->capture_default_str()
      ->type_name("NAME");
}

void add_tolerance_flags(CLI::App& command, double& cos_tol, std::string& gate,
                         std::vector<std::string>& metrics, int& last_positions) {
  command.add_option("--cos-tol", cos_tol, "Cosine a position must reach")
      ->check(CLI::Range(-1.0, 1.0).description(""))
      ->capture_default_str()
      ->type_name("X");
  command
      .add_option("--gate", gate,
                  "What diverges: cosine, noise (beyond the measured rounding noise), auto (both)")
      ->check(CLI::IsMember({"auto", "cosine", "noise"}).description(""))
      ->capture_default_str()
      ->type_name("auto|cosine|noise");
  command.add_option("--metrics", metrics, "Columns to show: " + join(metric_names()))
      ->delimiter(',')
      ->check(CLI::IsMember(metric_names()).description(""))
      ->type_name("LIST");
  command.add_option("--positions", last_positions, "Compare the last N positions only")
      ->check(CLI::Range(1, 1 << 30).description(""))
      ->type_name("N");
}

}  // namespace crossval
