// What is to be done: what the flags of the commands resolve to. Flags are parsed and their values
// checked in cli/; everything behind it sees only these.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/worker_rights.h"
#include "compare/metrics.h"
#include "engine/engine.h"

namespace crossval {

enum class ProgressMode { automatic, always, never };
enum class NumericsChoice { automatic, exact, ggml };
enum class Ladder { tokens, first_logit, positions, decode };

struct CommonOptions {
  bool verbose = false, quiet = false;
  int n_threads = 0;  // 0 = as many as cores
  ProgressMode progress = ProgressMode::automatic;
  std::string format = "text";  // of the table of renderers

  int threads() const;  // as asked, else one per core
};

// Exactly one of the sources is given.
struct PromptOptions {
  std::string prompt;
  bool has_prompt = false;
  std::string prompt_file, tokens, tokens_file;
  bool has_tokens = false;
  std::string prompts_file;  // --prompts: one prompt a line
  std::string prompt_template = "auto";
  std::string system_prompt;
  std::string special = "parse";
  std::string bos = "auto";
};

// The model and one engine's side of the settings.
struct ModelOptions {
  std::string model, tokenizer;
  NumericsChoice numerics = NumericsChoice::automatic;
  std::vector<std::string> backend_opts;  // K=V
  double timeout_s = 600;
  int worker_threads = 0;  // of engines in workers, where that is not --threads; 0 = as --threads
  int max_tokens = 4;
  std::string i2_s_layout = "auto";
  Sandbox sandbox = Sandbox::automatic;
  std::vector<std::string> sandbox_write;  // where workers may write
};

struct PerTokenOptions {
  CommonOptions common;
  PromptOptions prompt;
  ModelOptions model;
  std::string engine = "native";
  std::string backend = "auto";
  std::string backend_model;
  double cos_tol = 0.999;
  std::string gate = "auto";
  std::vector<std::string> metrics;
  int last_positions = 0;  // 0 = all
  Ladder ladder = Ladder::decode;
  bool dump_ids = false, dump_backend_ids = false;
  std::string receipt, save_trace_dir;
};

// Everything of per-token (without --max-tokens only the prompt), and:
struct TraceOptions {
  PerTokenOptions run;
  bool lift = false;
  bool self = false;
  bool accepts_unchecked = false;  // what could not be recomputed counts as agreement
  std::string layers;              // "A-B" or "A"; "" = all
  std::string taps;                // regular expression; "" = all
};

struct RunOptions {
  CommonOptions common;
  PromptOptions prompt;
  ModelOptions model;
  std::string engine = "native";
  std::string save_trace;
  std::string taps;  // tensors to save with it; "" = none
};

struct CompareOptions {
  CommonOptions common;
  std::string a, b;
  ModelOptions model;  // .model "" = what both ran is not at hand
  double cos_tol = 0.999;
  std::string gate = "auto";
  std::vector<std::string> metrics;
  int last_positions = 0;
  std::string receipt;
};

// The columns to compute for --metrics; all of them when the list is empty.
MetricSet metric_set(const std::vector<std::string>& names);
// Of --backend-opt. Throws bad_input for what is not K=V.
std::map<std::string, std::string> engine_settings(const std::vector<std::string>& opts);

}  // namespace crossval
