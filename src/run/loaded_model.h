// The model of a command: its file, its vocabulary, and how prompts become ids with them. Opened
// once for all prompts; engines over it are opened here too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/engine_ref.h"
#include "base/parallel.h"
#include "engine/engine.h"
#include "gguf/model_file.h"
#include "native/native_engine.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/prompt_source.h"
#include "text/chat_template.h"
#include "text/text_process.h"
#include "verdict/report.h"

namespace crossval {

// A prompt on its way to ids.
struct PreparedPrompt {
  std::optional<std::vector<TokenId>> ids;  // given as ids
  FormattedPrompt formatted;
  // Where the text came from the model's own template (--prompt-template auto): what went into it.
  bool by_own_template = false;
  std::string text, system;
  TokenizeOptions options;
};

class LoadedModel {
 public:
  // `model` is the file of options.model; the vocabulary is read by load_tokenizer.
  LoadedModel(std::shared_ptr<const ModelFile> model, const ModelOptions& options,
              const CommonOptions& common, Progress& progress);
  void load_tokenizer();

  const ModelFile& file() const { return *model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  ThreadPool& pool() { return *pool_; }

  // Facts of the model for the report, without its checksum.
  ModelReport report() const;

  PreparedPrompt prepare(const PromptInput& input, const PromptOptions& options,
                         PromptReport& report) const;
  // Whether a text begins with the vocabulary's beginning-of-text token as it is written.
  bool starts_with_bos(const std::string& text) const;
  // Native's own ids of a prompt.
  std::vector<TokenId> tokenize(const PreparedPrompt& prompt, double& tokenize_ms) const;

  // Any engine that is not built in, with its model loaded.
  std::unique_ptr<Engine> open(const EngineRef& ref, const std::string& model_path);
  // Native over `model`, or this one; this one's vocabulary either way.
  std::unique_ptr<NativeEngine> open_native(const NativeOptions& options,
                                            std::shared_ptr<const ModelFile> model = nullptr);

  // "tensor[index]" of the first weight that is NaN or Inf in a model; "" = none.
  std::string find_non_finite_weight(const ModelFile& model);

 private:
  const ModelOptions& options_;
  Progress& progress_;
  int n_threads_;
  std::shared_ptr<const ModelFile> model_;
  std::shared_ptr<const TextProcess> tokenizer_;
  std::shared_ptr<ThreadPool> pool_;
};

// "tensor[index]", with the expert's number where it is one's, of the first weight that is NaN or
// Inf; "" = none. Types that quant/ does not decode are passed over.
std::string non_finite_weight(const ModelFile& model, ThreadPool& pool);

// Ids that can be evaluated: some, all in the vocabulary, not more than the context holds.
// Throws bad_input. n_vocab <= 0 = not known yet.
void check_prompt_ids(const std::vector<TokenId>& ids, int n_vocab, const ModelFile& model,
                      int n_decode);

}  // namespace crossval
