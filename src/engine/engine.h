// What every engine is to the rest of the program: native, a worker process, or a saved trace.
// Logits are pulled row by row after an eval, so that nobody has to hold n_positions x n_vocab;
// greedy decoding is `eval` of one id at a time, the id chosen by whoever drives both engines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/tap.h"
#include "engine/top_row.h"

namespace crossval {

using TokenId = int32_t;

// Who ran and how: goes into the receipt as it is.
struct EngineInfo {
  std::string name;     // "native", "llama.cpp", "ik_llama.cpp", ...
  std::string version;  // of the engine, as it says itself
  std::string commit;   // of its sources, where it tells; else empty
  std::string device;   // what it computes on, as it says ("CPU", "CUDA0: ..."); empty = unknown
  std::string sandbox;  // what a worker is held to; empty for what runs in our process
  std::string library;  // path of the shared library a worker loaded; empty for native
  std::string model;    // path of the model file it read
  int n_threads = 0;
  int n_vocab = 0;
  int n_ctx_train = 0;                          // 0 = unknown
  std::map<std::string, std::string> settings;  // "kv_type" -> "f32", "flash_attn" -> "off", ...
};

// How a prompt becomes ids; the same values go to both sides.
enum class BosMode { automatic, on, off };
struct TokenizeOptions {
  BosMode bos = BosMode::automatic;  // automatic: as the metadata (add_bos_token, ...) says
  bool parse_special = true;         // special tokens written in the text become their ids
};

// Milliseconds an engine spent in each stage; a stage it has not is 0.
struct EngineTiming {
  double start_ms = 0;  // spawn and handshake of a worker
  double load_ms = 0;
  double tokenize_ms = 0;
  double eval_ms = 0;  // prompt and decode, logits included
  double prompt_eval_ms = 0;
  double decode_ms = 0;
};

// What of an eval can be read: logits of all tokens, or log-probabilities of the likeliest.
enum class LogitRows { none, top, full };

// What an engine can do: asked before it is asked for it.
struct Capabilities {
  bool tokenizes = true;          // it has a tokenizer of its own
  bool pieces = true;             // it knows the bytes that an id stands for
  bool taps = false;              // it shows the tensors of its graph
  bool all_taps = true;           // ... all of them, so that what is not shown is not there
  bool own_names = false;         // its weights have names of its own (Engine::own_weights)
  bool renders = false;           // it has the model's chat template
  bool wants_vocabulary = false;  // it names tokens by their text: give_vocabulary() first
  LogitRows rows = LogitRows::full;
};

// The weights of an engine under its own names, rows first, and the configuration of its model.
struct OwnWeights {
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes;
  std::string config;  // JSON
};

// Which of those a weight of the model file is made of: rows of parts, one part below the other.
struct NamedWeight {
  struct Part {
    std::string of;
    int64_t offset = 0;                             // of its first element
    std::vector<std::pair<int64_t, int64_t>> rows;  // so many steps of so many elements, ...
    int64_t n_cols = 1, col_stride = 1;
    float factor = 1;
  };
  std::string name;  // in the model file
  std::string tap;   // of the operation that reads it, without its layer; "" = any
  int layer = -1;
  int64_t n_experts = 1;
  std::vector<Part> parts;  // none: no weight of the engine's is it
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual Capabilities can() const { return {}; }

  virtual const EngineInfo& info() const = 0;
  virtual const EngineTiming& timing() const = 0;

  // Text -> ids by this engine's own tokenizer. Throws Error where it has none (can().tokenizes).
  virtual std::vector<TokenId> tokenize(const std::string& text,
                                        const TokenizeOptions& options) = 0;

  // What the model's own chat template makes of a prompt and a system prompt ("" = none); nullopt
  // where it has no template.
  virtual std::optional<std::string> render(const std::string& /*prompt*/,
                                            const std::string& /*system*/) {
    return std::nullopt;
  }

  // What each id of the model stands for, before the first eval of an engine that wants it.
  virtual void give_vocabulary(const std::vector<std::string>& /*pieces*/) {}

  // The bytes an id stands for (special tokens as written in the vocabulary). May be invalid UTF-8.
  virtual std::string piece(TokenId id) = 0;

  // Forgets all evaluated ids (empties the KV cache). `n_ctx` = ids that will be evaluated in all
  // until the next reset; an engine sizes its context by it.
  virtual void reset(int n_ctx) = 0;

  // Evaluates `ids` after all those since reset (first position = number evaluated so far).
  virtual void eval(std::span<const TokenId> ids) = 0;

  // eval that also hands the tensors it computes, those that `filter` wants, to `sink`. Logits are
  // bit for bit those of eval. What the sink throws comes out of here; the engine must be reset
  // then. Throws bad_input "no_taps" where the engine has none.
  virtual void eval_with_taps(std::span<const TokenId> ids, const TapFilter& filter,
                              const TapSink& sink);

  // Where own_names: asked before the first eval_with_taps.
  virtual std::optional<OwnWeights> own_weights() { return std::nullopt; }
  virtual void name_weights(std::span<const NamedWeight> /*weights*/) {}

  // Logits of rows [first_row, first_row + n_rows) of the latest eval, row-major [n_rows, n_vocab].
  // Rows must be asked for in ascending order, each at most once.
  virtual void read_logits(int first_row, int n_rows, std::span<float> out) = 0;

  // The same of an engine that gives its likeliest tokens alone (can().rows), settled
  // (engine/top_row.h). Throws bad_input "no_top_rows" where it is none.
  virtual std::vector<TopRow> read_top_rows(int first_row, int n_rows);

  // Engine log lines worth showing with an error or under --verbose; newest last.
  virtual std::vector<std::string> log_tail() { return {}; }

  // Warnings and errors that the engine logged although it said it succeeded; oldest first.
  virtual std::vector<std::string> warnings() { return {}; }

  // Nothing can be asked of it any more: its process is gone.
  virtual bool is_gone() const { return false; }
  virtual int64_t peak_rss_bytes() { return 0; }
};

}  // namespace crossval
