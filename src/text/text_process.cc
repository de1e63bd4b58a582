#include "text/text_process.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "text/ids_tokenizer.h"

namespace crossval {
namespace {

using Fields = ConfinedTask::Fields;

// A vocabulary of 256,000 tokens takes a second to build; a template of today's largest models
// renders in a few milliseconds.
constexpr int kOpenMs = 30'000, kTemplateMs = 10'000, kPieceMs = 10'000;
constexpr size_t kBytesPerSecond = 1 << 16;  // of a text, beyond kOpenMs
constexpr int64_t kMemoryBytes = int64_t{1} << 30;

int to_int(const std::string& text) { return std::stoi(text); }
std::string from_bool(bool value) { return value ? "1" : ""; }

Fields facts_of(const Tokenizer& tokenizer) {
  const VocabRules& rules = tokenizer.rules();
  Fields out = {std::to_string(tokenizer.n_vocab()),
                std::to_string(rules.bos_id),
                std::to_string(rules.eos_id),
                from_bool(rules.add_bos),
                from_bool(rules.add_eos),
                rules.model,
                rules.pre,
                tokenizer.known_difference()};
  for (std::string& warning : tokenizer.warnings()) out.push_back(std::move(warning));
  return out;
}

std::string pack(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// What the child does with a request, whose first field names it.
Fields answer(const Tokenizer& tokenizer, const Fields& request) {
  const std::string& what = request.at(0);
  if (what == "facts") return facts_of(tokenizer);
  if (what == "require_text") {
    tokenizer.require_text();
    return {};
  }
  if (what == "piece") return {tokenizer.piece(to_int(request.at(1)))};
  if (what == "encode") {
    return {pack(tokenizer.encode(request.at(1), !request.at(2).empty(), !request.at(3).empty()))};
  }
  const PromptTemplate chosen{request.at(1), request.at(2), request.at(3)};
  FormattedPrompt out = format_prompt(chosen, request.at(4), request.at(5), tokenizer);
  return {std::move(out.text), from_bool(out.starts_with_bos)};
}

std::unique_ptr<ConfinedTask> start(std::shared_ptr<const ModelFile> model,
                                    const std::string& tokenizer_file) {
  const auto open = [model, tokenizer_file]() -> ConfinedTask::Serve {
    std::shared_ptr<const Tokenizer> tokenizer = tokenizer_file.empty()
                                                     ? Tokenizer::from_gguf_or_ids(*model)
                                                     : Tokenizer::from_file(tokenizer_file, *model);
    return [tokenizer](const Fields& request) { return answer(*tokenizer, request); };
  };
  // The files that a template's time of day is read from.
  Rights rights{.read = {"/etc/localtime", "/usr/share/zoneinfo"}, .more_data_bytes = kMemoryBytes};
  if (!tokenizer_file.empty()) rights.read.push_back(tokenizer_file);
  return std::make_unique<ConfinedTask>(open, rights);
}

}  // namespace

TextProcess::TextProcess(std::shared_ptr<const ModelFile> model, const std::string& tokenizer_file)
    : model_(std::move(model)), tokenizer_file_(tokenizer_file) {}

std::unique_ptr<TextProcess> TextProcess::open(std::shared_ptr<const ModelFile> model,
                                               const std::string& tokenizer_file) {
  std::unique_ptr<TextProcess> process(new TextProcess(std::move(model), tokenizer_file));
  try {
    process->read_facts();
  } catch (const Error& error) {
    if (!tokenizer_file.empty()) throw;
    process->ids_ = make_ids_tokenizer(*process->model_, error);
    process->n_vocab_ = process->ids_->n_vocab();
    process->warnings_ = process->ids_->warnings();
  }
  return process;
}

void TextProcess::read_facts() {
  const Fields facts = call({"facts"}, kOpenMs);
  constexpr size_t n_single = 8;
  try {
    n_vocab_ = to_int(facts.at(0));
    rules_ = {.bos_id = to_int(facts.at(1)),
              .eos_id = to_int(facts.at(2)),
              .add_bos = !facts.at(3).empty(),
              .add_eos = !facts.at(4).empty(),
              .model = facts.at(5),
              .pre = facts.at(6)};
    known_difference_ = facts.at(7);
  } catch (const std::logic_error&) {  // not numbers, or not so many
    bad_input("tokenizer_failed", "the vocabulary's process answered nonsense", model_->path(),
              "use another --tokenizer, or give ids with --tokens");
  }
  warnings_.assign(facts.begin() + n_single, facts.end());
}

Fields TextProcess::call(const Fields& request, int timeout_ms) const {
  return call(request, timeout_ms,
              {.code = "tokenizer_failed",
               .where = tokenizer_file_.empty() ? model_->path() : tokenizer_file_,
               .what = "the vocabulary or what was to be tokenised",
               .fix = "use another --tokenizer, or give ids with --tokens"});
}

Fields TextProcess::call(const Fields& request, int timeout_ms,
                         const ConfinedTask::Failure& failure) const {
  const std::lock_guard lock(one_call_);
  if (task_ == nullptr || task_->is_gone()) {
    task_ = start(model_, tokenizer_file_);
    timeout_ms += kOpenMs;
  }
  return task_->call(request, timeout_ms, failure);
}

std::vector<int32_t> TextProcess::encode(const std::string& text, bool add_special,
                                         bool parse_special) const {
  if (ids_) return ids_->encode(text, add_special, parse_special);
  const auto timeout_ms = kOpenMs + static_cast<int>(1000 * (text.size() / kBytesPerSecond));
  const Fields reply =
      call({"encode", text, from_bool(add_special), from_bool(parse_special)}, timeout_ms);
  std::vector<int32_t> ids;
  if (!reply.empty()) {
    ids.resize(reply[0].size() / sizeof(int32_t));
    std::memcpy(ids.data(), reply[0].data(), ids.size() * sizeof(int32_t));
  }
  return ids;
}

std::string TextProcess::piece(int32_t id) const {
  if (ids_) return ids_->piece(id);
  Fields reply = call({"piece", std::to_string(id)}, kPieceMs);
  return reply.empty() ? "" : std::move(reply[0]);
}

void TextProcess::require_text() const {
  if (ids_) {
    ids_->require_text();
  } else {
    call({"require_text"}, kPieceMs);
  }
}

FormattedPrompt TextProcess::format(const PromptTemplate& chosen, const std::string& prompt,
                                    const std::string& system) const {
  FormattedPrompt out{chosen.name, prompt, false};
  if (chosen.name == "raw" && system.empty()) return out;
  Fields reply =
      call({"format", chosen.name, chosen.source, chosen.where, prompt, system}, kTemplateMs,
           {.code = "template_failed",
            .where = chosen.where,
            .what = "the prompt template",
            .fix = "use --prompt-template raw, a built-in name, or a corrected FILE.jinja"});
  if (reply.size() == 2) {
    out.text = std::move(reply[0]);
    out.starts_with_bos = !reply[1].empty();
  }
  return out;
}

}  // namespace crossval
