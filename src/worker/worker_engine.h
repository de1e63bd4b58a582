// An Engine that runs in a worker process (docs/protocol.md). Made by backends/, which knows
// where workers are. One thread at a time may use one engine; different engines are independent.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/engine.h"
#include "worker/channel.h"

namespace crossval {

struct WorkerLaunch {
  std::vector<std::string> argv;          // the worker's path first
  std::string name;                       // display name until hello tells; kept when it does not
  int timeout_ms = 600'000;               // per message
  MessageHook on_message;                 // may be empty
  std::optional<WorkerCover> cover = {};  // what it is held to; none: it has our rights
};

// What a worker says about its engine before any model is loaded, or when it has.
struct WorkerHello {
  std::string engine, version, library, api_era, system_info, cpu_library;
  std::string commit;             // of the engine's sources
  bool taps = false;              // it can show the tensors of its graph
  bool all_taps = true;           // all of them
  bool names = false;             // its weights have names of its own
  bool tokenizes = true;          // it has a tokenizer of its own
  bool pieces = true;             // it knows the bytes of an id
  bool renders = false;           // it has the model's chat template
  bool wants_vocabulary = false;  // it names tokens by their text
};

class WorkerEngine : public Engine {
 public:
  // Starts the worker and shakes hands. Throws backend_failed.
  explicit WorkerEngine(const WorkerLaunch& launch);

  const WorkerHello& hello() const { return hello_; }
  void set_sandbox(const std::string& words) { info_.sandbox = words; }
  void load(const std::string& model_path, int n_threads,
            const std::map<std::string, std::string>& settings);

  const EngineInfo& info() const override { return info_; }
  const EngineTiming& timing() const override { return timing_; }
  std::vector<TokenId> tokenize(const std::string& text, const TokenizeOptions& options) override;
  std::optional<std::string> render(const std::string& prompt, const std::string& system) override;
  void give_vocabulary(const std::vector<std::string>& pieces) override;
  std::string piece(TokenId id) override;
  void reset(int n_ctx) override;
  void eval(std::span<const TokenId> ids) override;
  Capabilities can() const override {
    return {.tokenizes = hello_.tokenizes,
            .pieces = hello_.pieces,
            .taps = hello_.taps,
            .all_taps = hello_.all_taps,
            .own_names = hello_.names,
            .renders = hello_.renders,
            .wants_vocabulary = hello_.wants_vocabulary,
            .rows = n_top_ > 0 ? LogitRows::top : LogitRows::full};
  }
  void eval_with_taps(std::span<const TokenId> ids, const TapFilter& filter,
                      const TapSink& sink) override;
  std::optional<OwnWeights> own_weights() override;
  void name_weights(std::span<const NamedWeight> weights) override;
  void read_logits(int first_row, int n_rows, std::span<float> out) override;
  std::vector<TopRow> read_top_rows(int first_row, int n_rows) override;
  std::vector<std::string> log_tail() override;
  std::vector<std::string> warnings() override;
  int64_t peak_rss_bytes() override { return channel_.peak_rss_bytes(); }

  bool is_gone() const override { return channel_.is_gone(); }
  // Of the latest reset, "" when there is nothing to say (beyond n_ctx_train, ...).
  const std::string& warning() const { return warning_; }
  pid_t pid() const { return channel_.pid(); }

 private:
  Channel::Reply call(const Channel::Request& request, double* stage_ms);
  void finish_eval(const nlohmann::json& header, size_t n_ids, double time_ms);
  Tap take_name(const nlohmann::json& description) const;
  void take_tensors(const nlohmann::json& description, Tap& tap);
  void take_engine_facts(const nlohmann::json& header);
  void take_model_facts(const nlohmann::json& header);

  Channel channel_;
  WorkerHello hello_;
  EngineInfo info_;
  EngineTiming timing_;
  std::string warning_;
  std::unordered_map<TokenId, std::string> pieces_;
  int n_past_ = 0, n_rows_ = 0, next_row_ = 0;
  int n_top_ = 0;  // tokens a row at most; 0 = whole rows
};

}  // namespace crossval
