// One engine, one model, at most one context: everything a worker does with llama.h.
#pragma once

#include <llama.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capture.h"
#include "settings.h"

namespace crossval::llama {

// What the engine says about itself before a model is loaded.
struct EngineFacts {
  std::string version;      // "" when the library does not tell
  std::string system_info;  // CPU features as the engine sees them
  std::string api_era;
  std::string library;      // the shared library really loaded
  std::string cpu_library;  // the CPU variant picked at run time, "" when built in
};

// Loads the engine's CPU backend, routes its log to stderr and keeps the last complaints.
EngineFacts start_engine();

class Session {
 public:
  // Throws backend_failed "model_refused" with the engine's own words.
  Session(const std::string& path, int n_threads, const Settings& settings);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int n_vocab() const { return n_vocab_; }
  int n_ctx_train() const { return n_ctx_train_; }
  // Settings as they are in force; complete once there is a context.
  std::map<std::string, std::string> settings_in_force() const;

  // `bos`: "auto" | "on" | "off".
  std::vector<llama_token> tokenize(const std::string& text, const std::string& bos,
                                    bool parse_special) const;
  std::string piece(llama_token id) const;

  // Room for n_ctx ids, nothing evaluated. Returns a warning or "".
  std::string reset(int n_ctx);
  // Logits are kept for every id of the call, until the next one.
  void eval(std::span<const llama_token> ids);
  // The same, every node of the graph shown on the way. Must begin with the first eval after a
  // reset: the context is then made anew, with the engine's callback in it.
  void eval(std::span<const llama_token> ids, Capture::Deliver deliver);
  int n_rows() const { return n_rows_; }
  int n_past() const { return n_past_; }
  const float* logits_row(int row) const;

 private:
  llama_context* make_context(int n_ctx, ggml_type type_k, ggml_type type_v);
  void create_context(int n_ctx);
  void check_ids(std::span<const llama_token> ids) const;

  Settings settings_;
  int n_threads_ = 1;
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  int n_vocab_ = 0;
  int n_ctx_train_ = 0;
  int capacity_ = 0;  // ids the context can take, and the most it takes in one call
  int n_past_ = 0;
  int n_rows_ = 0;
  bool has_extra_bufts_ = false;
  Capture capture_;
  bool has_callback_ = false;  // the context knows capture_
  ggml_type type_k_ = GGML_TYPE_F16, type_v_ = GGML_TYPE_F16;
};

}  // namespace crossval::llama
