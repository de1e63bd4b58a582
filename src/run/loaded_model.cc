#include "run/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/stopwatch.h"
#include "engine/encode.h"
#include "quant/matmul.h"

namespace crossval {

LoadedModel::LoadedModel(std::shared_ptr<const ModelFile> model, const ModelOptions& options,
                         const CommonOptions& common, Progress& progress)
    : options_(options),
      progress_(progress),
      n_threads_(common.threads()),
      model_(std::move(model)),
      pool_(std::make_shared<ThreadPool>(n_threads_)) {}

void LoadedModel::load_tokenizer() { tokenizer_ = TextProcess::open(model_, options_.tokenizer); }

ModelReport LoadedModel::report() const {
  ModelReport report;
  report.path = model_->path();
  report.architecture = model_->architecture();
  report.quantization = model_->quantization();
  report.n_params = model_->n_params();
  report.n_layers = model_->get_int(model_->architecture() + ".block_count");
  if (const TensorView* embd = model_->find_tensor("token_embd.weight");
      embd != nullptr && embd->shape.size() == 2) {
    report.n_vocab = embd->shape[1];
  }
  return report;
}

PreparedPrompt LoadedModel::prepare(const PromptInput& input, const PromptOptions& options,
                                    PromptReport& report) const {
  PreparedPrompt prompt;
  prompt.ids = input.ids;
  if (input.ids) return prompt;
  tokenizer_->require_text();
  prompt.formatted = tokenizer_->format(find_template(options.prompt_template, *model_), input.text,
                                        options.system_prompt);
  prompt.by_own_template = options.prompt_template == "auto";
  prompt.text = input.text;
  prompt.system = options.system_prompt;
  prompt.options.parse_special = options.special == "parse";
  prompt.options.bos = options.bos == "on"    ? BosMode::on
                       : options.bos == "off" ? BosMode::off
                                              : BosMode::automatic;
  // The template has written BOS already: adding it again would double it, on either side.
  if (prompt.options.bos != BosMode::off && prompt.formatted.starts_with_bos) {
    prompt.options.bos = BosMode::off;
  }
  report.text = input.text;
  report.template_name = prompt.formatted.template_name;
  report.formatted = prompt.formatted.text;
  return prompt;
}

bool LoadedModel::starts_with_bos(const std::string& text) const {
  const TokenId bos = tokenizer_->rules().bos_id;
  const std::string piece = bos < 0 ? "" : tokenizer_->piece(bos);
  return !piece.empty() && text.starts_with(piece);
}

std::vector<TokenId> LoadedModel::tokenize(const PreparedPrompt& prompt,
                                           double& tokenize_ms) const {
  const Stopwatch watch;
  std::vector<TokenId> ids =
      encode_with_options(*tokenizer_, prompt.formatted.text, prompt.options);
  tokenize_ms += watch.elapsed_ms();
  return ids;
}

std::unique_ptr<Engine> LoadedModel::open(const EngineRef& ref, const std::string& model_path) {
  LoadOptions load;
  load.model = model_path;
  load.n_threads = options_.worker_threads > 0 ? options_.worker_threads : n_threads_;
  load.timeout_ms = static_cast<int>(std::min(options_.timeout_s * 1000.0, 2e9));
  load.settings = engine_settings(options_.backend_opts);
  load.sandbox = options_.sandbox;
  load.may_write = options_.sandbox_write;
  load.on_message = [&progress = progress_](const MessageTrace& message) {
    progress.verbose(fmt::format("worker: {} ({} bytes out, {} in, {:.1f} ms)", message.stage,
                                 message.sent_bytes, message.received_bytes, message.time_ms));
  };
  load.on_log = [&](const std::string& line) {
    progress_.verbose(ref.display_name() + ": " + line);
  };
  return open_engine(ref, load);
}

std::unique_ptr<NativeEngine> LoadedModel::open_native(const NativeOptions& options,
                                                       std::shared_ptr<const ModelFile> model) {
  return std::make_unique<NativeEngine>(model ? std::move(model) : model_, tokenizer_, options,
                                        pool_);
}

std::string LoadedModel::find_non_finite_weight(const ModelFile& model) {
  return non_finite_weight(model, *pool_);
}

std::string non_finite_weight(const ModelFile& model, ThreadPool& pool) {
  for (const TensorView& tensor : model.tensors()) {
    if (find_format(tensor.type) == nullptr) continue;
    const int64_t at = find_non_finite(tensor, pool);
    if (at < 0) continue;
    std::string words = fmt::format("{}[{}]", tensor.name, at);
    if (tensor.shape.size() == 3 && tensor.shape[2] > 1) {
      words += fmt::format(" (expert {})", at / (tensor.shape[0] * tensor.shape[1]));
    }
    return words;
  }
  return "";
}

void check_prompt_ids(const std::vector<TokenId>& ids, int n_vocab, const ModelFile& model,
                      int n_decode) {
  if (ids.empty()) {
    bad_input("empty_prompt", "the prompt has no ids", "prompt",
              "give a longer prompt, or --bos on for the beginning-of-text token alone");
  }
  for (TokenId id : ids) {
    if (id < 0 || (n_vocab > 0 && id >= n_vocab)) {
      bad_input("token_out_of_range",
                fmt::format("id {} is not in the vocabulary of {} ids", id, n_vocab), "prompt",
                fmt::format("ids go from 0 to {}", n_vocab - 1));
    }
  }
  const int64_t limit = model.get_int(model.architecture() + ".context_length").value_or(0);
  if (limit > 0 && static_cast<int64_t>(ids.size()) + n_decode > limit) {
    bad_input("prompt_too_long",
              fmt::format("{} prompt ids and {} to decode do not fit the model's context of {}",
                          ids.size(), n_decode, limit),
              "prompt", "use a shorter prompt or a smaller --max-tokens");
  }
}

}  // namespace crossval
