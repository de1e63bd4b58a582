// Two engines over the same prompts: opened once, then one comparison a prompt.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/engine_ref.h"
#include "engine/engine.h"
#include "native/native_engine.h"
#include "quant/lift.h"
#include "run/drive.h"
#include "run/engine_pool.h"
#include "run/loaded_model.h"
#include "run/noise_runs.h"
#include "run/plan.h"
#include "run/progress.h"
#include "verdict/noise.h"
#include "verdict/report.h"

namespace crossval {

// What the pairs of one command share.
struct PairsShare {
  EnginePool engines;
  std::shared_future<std::string>
      sha256;  // of the model, valid once a pair has begun to compute it
  // Ids that the first pair evaluated after this prompt: every pair is fed the same. Empty = none.
  std::vector<TokenId> evaluated;
};

// Who watches the tensors of a comparison.
struct Watch {
  std::vector<Observer*> observers;
  TapFilter filter;
};

class Pair {
 public:
  // Preflight, model, vocabulary, workers. Fills what it learns into `report`; throws Error.
  Pair(const PerTokenOptions& options, Progress& progress, Report& report,
       PairsShare* shared = nullptr);

  // What a trace checks against, and what the backend read when that is another file (else null).
  std::shared_ptr<const ModelFile> model_file() const { return model_file_; }
  std::shared_ptr<const ModelFile> backend_file() const { return backend_file_; }
  // Null where it is built in and no prompt has come so far that it was made.
  Engine* engine() const { return engine_.engine.get(); }
  Engine* backend() const { return backend_.engine.get(); }
  const EngineRef& backend_ref() const { return backend_.ref; }
  // Whether the engine's side can evaluate this model: native does not know every architecture.
  bool engine_can_run() const;
  // Ends the backend: its memory is needed for others.
  void close_backend() { backend_.engine.reset(); }

  // The ids of one prompt, compared: report.status is token_mismatch where they differ, else agree.
  void check_tokens(const PromptInput& input, Report& report);
  // check_tokens, and then the logits, where they are the same. On an Error `report` holds what was
  // found before it.
  void compare(const PromptInput& input, Report& report, const Watch* watch = nullptr);

 private:
  struct OpenedSide {
    EngineRef ref;
    std::shared_ptr<Engine> engine;  // null where it is built in, until it is made
    EngineTiming before;             // its counters at the start of a prompt
  };

  // pair_open.cc
  void choose_sides();
  void open_sides(Report& report);
  void open_side(OpenedSide& side, const std::string& model_path);
  void give_vocabulary(OpenedSide& side);
  void open_native_sides();
  void open_native_noise();
  NoiseRuns noise_runs() const;
  void open_lifted_noise();
  // As the other side's, or as right ones may round otherwise: the second run of the noise.
  enum class Rounding { imitated, noise };
  NativeOptions native_options(Numerics numerics, Rounding rounding) const;

  void reopen_gone(Report& report);
  void compare_logits(const PromptInput& input, Report& report, const Watch* watch);
  void reset_sides(int n_positions);
  std::vector<Participant> participants(const Watch* watch) const;
  void evaluate_backend_alone(const Watch& watch, Report& report);
  void dump_ids(const EngineRef& ref, const std::vector<TokenId>& ids, Report& report);
  void fill_engines(Report& report) const;
  void show_stages(const Report& report);
  void show_logs();
  Steps steps_for(const std::vector<TokenId>& ids) const;
  int n_decode() const;
  int smallest_vocabulary() const;
  // A side gives its likeliest tokens instead of rows of logits.
  bool has_partial_rows() const;

  const PerTokenOptions& options_;
  Progress& progress_;
  PairsShare* shared_;
  std::string selected_by_;
  std::shared_ptr<const ModelFile> model_file_;
  std::shared_ptr<const ModelFile> backend_file_;  // when it is another file
  std::optional<LoadedModel> model_;
  OpenedSide engine_, backend_;
  // Native, or where it does not run the model the engine over `lifted_`.
  std::shared_ptr<Engine> noise_;
  std::shared_ptr<NativeEngine> noise_base_;
  NoiseScale noise_scale_;
  std::optional<LiftedModel> lifted_;
  std::string non_finite_weight_;
  std::shared_future<std::string> sha256_;
  double tokenize_ms_ = 0;
  int n_restarts_ = 0, n_restarts_in_a_row_ = 0;
};

}  // namespace crossval
