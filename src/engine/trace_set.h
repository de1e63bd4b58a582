// Runs that were saved over several prompts, one file a prompt, as one engine: each prompt is
// played back from the file that was saved for it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/trace_engine.h"

namespace crossval {

// "dir/base.safetensors" -> "dir/base-0003.safetensors" for prompt number 3; as it is for 0, the
// only prompt.
std::string saved_path(const std::string& path, int number);

// The run saved in `path`, or, where there is no such file, the runs saved in saved_path(path, 1),
// saved_path(path, 2), ... Throws bad_input.
std::unique_ptr<Engine> open_recording(const std::string& path);

class TraceSet : public Engine {
 public:
  explicit TraceSet(std::vector<std::unique_ptr<TraceEngine>> runs);

  Capabilities can() const override { return {.pieces = false}; }
  const EngineInfo& info() const override { return runs_[current_]->info(); }
  const EngineTiming& timing() const override { return runs_[current_]->timing(); }
  // The ids of the run that was saved for this text, the next in order first.
  std::vector<TokenId> tokenize(const std::string& text, const TokenizeOptions& options) override;
  std::string piece(TokenId) override { return ""; }
  void reset(int n_ctx) override;
  // The first after a reset decides by its ids which run it is. Throws bad_input where it is none.
  void eval(std::span<const TokenId> ids) override;
  void read_logits(int first_row, int n_rows, std::span<float> out) override;

 private:
  std::vector<std::unique_ptr<TraceEngine>> runs_;
  size_t current_ = 0;
  bool is_fresh_ = true;  // nothing was evaluated since the reset
};

}  // namespace crossval
