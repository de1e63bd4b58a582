// Two engines over the same prompts: opened once, then one comparison a prompt.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/open.h"
#include "cli/lockstep.h"
#include "run/plan.h"
#include "cli/pairs_share.h"
#include "run/progress.h"
#include "cli/session.h"
#include "engine/engine.h"
#include "native/native_engine.h"
#include "verdict/report.h"

namespace crossval {

class Pair {
 public:
  // Preflight, model, vocabulary, workers. Fills what it learns into `report`; throws Error.
  // With `shared` the pairs of one command use one worker an engine, one after the other.
  Pair(const PerTokenOptions& options, Progress& progress, Report& report,
       PairsShare* shared = nullptr);

  // Tensors are taken from now on. Where native does not know the model, the backend runs alone.
  void set_taps(const TapHooks* taps) { taps_ = taps; }
  // What a trace checks against, and what the backend read when that is another file (else null).
  std::shared_ptr<const ModelFile> model() const { return model_; }
  std::shared_ptr<const ModelFile> backend_model() const { return backend_model_; }
  Engine* backend() const { return backend_.get(); }
  Engine* engine() const { return engine_.get(); }
  // As open_backend takes it, `auto` resolved.
  const std::string& backend_name() const { return backend_name_; }
  // Ends the backend: its memory is needed for others.
  void close_backend() { backend_.reset(); }

  // One prompt through both sides. On an Error `report` holds what was found before it.
  void compare(const PromptInput& input, Report& report);

 private:
  void choose_sides();
  void open_sides(Report& report);
  void open_native_sides();
  NativeOptions native_options(Numerics numerics, bool measures_noise = false) const;
  void dump_ids(const std::string& side, const std::vector<TokenId>& ids, Report& report);
  void gate_tokens(const PreparedPrompt& prompt, Report& report);
  void compare_logits(const std::vector<TokenId>& ids, const PreparedPrompt& prompt,
                      Report& report);
  void evaluate_backend_alone(const std::vector<TokenId>& ids, Report& report);
  void fill_engines(Report& report) const;
  void show_stages(const Report& report);
  int n_decode() const;
  int smallest_vocabulary() const;

  const PerTokenOptions& options_;
  Progress& progress_;
  PairsShare* shared_;
  const TapHooks* taps_ = nullptr;
  std::string backend_name_, selected_by_;
  std::shared_ptr<const ModelFile> model_;
  std::optional<Session> session_;
  std::shared_ptr<const ModelFile> backend_model_;  // when it is another file
  std::unique_ptr<Engine> engine_, backend_;        // native ones are made when ids are known
  std::unique_ptr<NativeEngine> rounding_, rounding_base_;
  std::string non_finite_weight_;
  std::shared_future<std::string> sha256_;
  double tokenize_ms_ = 0;
  EngineTiming engine_before_, backend_before_;  // counters at the start of a prompt
};

}  // namespace crossval
