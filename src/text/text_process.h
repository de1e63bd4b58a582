// Vocabulary and templates in a process of their own (sandbox/confined_task.h): both are programs
// of strangers to libraries that trust them, and may loop, recurse, or take all memory there is.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gguf/model_file.h"
#include "sandbox/confined_task.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace crossval {

class TextProcess : public Tokenizer {
 public:
  // The vocabulary of `tokenizer_file`, or where that is "" the model's own; of the model's own
  // that cannot be read there are ids alone, and require_text() says why. Throws bad_input.
  static std::unique_ptr<TextProcess> open(std::shared_ptr<const ModelFile> model,
                                           const std::string& tokenizer_file);

  FormattedPrompt format(const PromptTemplate& chosen, const std::string& prompt,
                         const std::string& system) const;

  std::vector<int32_t> encode(const std::string& text, bool add_special,
                              bool parse_special) const override;
  std::string piece(int32_t id) const override;
  void require_text() const override;
  int n_vocab() const override { return n_vocab_; }
  const VocabRules& rules() const override { return rules_; }
  std::vector<std::string> warnings() const override { return warnings_; }
  std::string known_difference() const override { return known_difference_; }

 private:
  TextProcess(std::shared_ptr<const ModelFile> model, const std::string& tokenizer_file);
  ConfinedTask::Fields call(const ConfinedTask::Fields& request, int timeout_ms) const;
  ConfinedTask::Fields call(const ConfinedTask::Fields& request, int timeout_ms,
                            const ConfinedTask::Failure& failure) const;
  void read_facts();

  std::shared_ptr<const ModelFile> model_;
  std::string tokenizer_file_;
  mutable std::mutex one_call_;
  mutable std::unique_ptr<ConfinedTask> task_;  // another one after one that ended
  std::unique_ptr<Tokenizer> ids_;              // where the vocabulary brought its process down
  VocabRules rules_;
  std::vector<std::string> warnings_;
  std::string known_difference_;
  int n_vocab_ = 0;
};

}  // namespace crossval
