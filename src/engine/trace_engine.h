// Plays a saved trace back as an engine: the ids must be those it was saved for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/trace_file.h"

namespace crossval {

class TraceEngine : public Engine {
 public:
  explicit TraceEngine(const std::string& path);  // throws bad_input
  explicit TraceEngine(std::shared_ptr<const TraceFile> file);

  Capabilities can() const override { return {.pieces = false}; }
  const EngineInfo& info() const override { return info_; }
  const EngineTiming& timing() const override { return timing_; }
  const TraceFile& file() const { return *file_; }
  int n_prompt() const { return n_prompt_; }
  // Only the first so many logits of each row are told: the rest of a padded vocabulary.
  void narrow(int n_vocab) { info_.n_vocab = n_vocab; }

  // The prompt's ids as saved. Throws bad_input when the trace was saved for another text.
  std::vector<TokenId> tokenize(const std::string& text, const TokenizeOptions& options) override;
  std::string piece(TokenId) override { return ""; }  // a trace has no vocabulary

  void reset(int n_ctx) override;
  void eval(std::span<const TokenId> ids) override;  // throws bad_input for other ids than saved
  void read_logits(int first_row, int n_rows, std::span<float> out) override;

 private:
  std::shared_ptr<const TraceFile> file_;
  EngineInfo info_;
  EngineTiming timing_;
  int n_prompt_ = 0;
  int64_t n_evaluated_ = 0;   // since reset
  int64_t latest_begin_ = 0;  // first position of the latest eval
};

}  // namespace crossval
