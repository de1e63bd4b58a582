// What renderers read: plain structs with everything the JSON says (fields.h), absent where it is
// unknown. Filled by a command, from whatever it got to; an error leaves the rest absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "compare/metrics.h"
#include "compare/tokens.h"
#include "compare/topk.h"
#include "engine/engine.h"
#include "verdict/judge.h"
#include "verdict/model_diff.h"
#include "verdict/tolerance.h"

namespace crossval {

struct ModelReport {
  std::string path, sha256, architecture, quantization;  // "" = unknown
  std::optional<int64_t> n_vocab, n_layers, n_params;
};

struct PromptReport {
  std::optional<std::string> text;           // as given; absent with --tokens
  std::optional<std::string> template_name;  // "raw", "chatml", ...
  std::optional<std::string> formatted;      // what was tokenised
};

struct EngineReport {
  EngineInfo info;
  std::string numerics;               // native only: "exact", "ggml"
  std::string selected_by;            // backend only: "flag", "metadata", "path", "default"
  std::vector<std::string> log = {};  // warnings and errors in the engine's own words
};

struct TokensReport {
  std::optional<std::vector<TokenId>> engine, backend;
  std::optional<bool> match;
  std::optional<TokenMismatch> first_mismatch;
};

struct TimingReport {
  double total_ms = 0;
  std::optional<EngineTiming> engine, backend;
  std::optional<double> noise_ms;  // the second native pass
  std::optional<double> compare_ms;
};

struct ErrorReport {
  std::string code, what, where, fix;
};

// How a result came about.
struct RunInfo {
  std::string command;  // the command line, quoted for a shell
  std::string date;     // "2026-01-31T12:00:00Z", the start
  std::string version, commit;
  std::string sandbox;  // what the program itself was held to; "" = it did not come to that
};

// One side's ids and pieces (--dump-ids, --dump-cpp-ids).
struct TokenDump {
  std::string side;
  std::vector<TokenText> tokens;
};

// One comparison: schema crossval/per-token/1.
struct Report {
  Status status = Status::bad_input;
  RunInfo run = {};
  ModelReport model;
  PromptReport prompt;
  std::optional<EngineReport> engine, backend;
  TokensReport tokens;
  MetricSet metrics = all_metrics();
  std::vector<JudgedPosition> positions;
  std::optional<Summary> summary;       // absent when no position was judged
  std::optional<ModelDiff> model_diff;  // absent where both sides read one file, or equal ones
  // "tensor[index]" of a NaN or Inf weight in either side's file: never agreement. "" = none.
  std::string non_finite_weight;
  std::vector<TokenDump> dumps;
  std::vector<std::string> remarks;  // sentences on what was compared, for the finding
  Tolerance tolerance;
  TimingReport timing;
  std::optional<ErrorReport> error;

  int exit_code() const { return static_cast<int>(status); }
};

ErrorReport error_report(const Error& error);
// Takes over what `judge` found.
void set_judgement(Report& report, Judgement judgement);
// Two models that compute something else do not agree, however near their logits are.
void hold_files_apart(Report& report);
// Status, exit code and error of a report that ended in `error`; what it already holds stays.
void set_error(Report& report, const Error& error);

// Several backends: schema crossval/parity/1.
struct Vote {
  std::string outlier;
  std::vector<std::string> agreeing;
  std::string reason;
};
struct ParityReport {
  std::vector<Report> pairs;
  std::optional<Vote> vote;
  // Names of all that took part. The pairs are (0,1), (0,2), ..., (1,2), ... of them.
  std::vector<std::string> participants = {};
  RunInfo run = {};
  std::optional<ErrorReport> receipt_error = {};  // the record could not be written

  Status status() const;  // the worst of the pairs; bad_input without any, or without a record
  std::optional<ErrorReport> error() const;  // the first of the pairs', or that of the record
};

// One engine alone: schema crossval/run/1.
struct RunPosition {
  int index = 0;
  Phase phase = Phase::prompt;
  TokenText token;
  struct Candidate {
    TokenText token;
    double logit = 0;
  };
  std::vector<Candidate> top;
};
struct RunReport {
  Status status = Status::bad_input;  // agree is shown as "ok"
  RunInfo run = {};
  ModelReport model;
  PromptReport prompt;
  std::optional<EngineReport> engine;
  std::optional<std::vector<TokenId>> tokens;  // prompt and decoded ids
  std::vector<RunPosition> positions;
  double total_ms = 0;
  std::optional<EngineTiming> timing;
  std::optional<double> prompt_tokens_per_second, decode_tokens_per_second;
  std::optional<int64_t> peak_rss_bytes;
  std::optional<ErrorReport> error;

  int exit_code() const { return static_cast<int>(status); }
};
void set_error(RunReport& report, const Error& error);

}  // namespace crossval
