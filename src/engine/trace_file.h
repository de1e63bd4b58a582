// A saved trace: one engine's ids, logits and captured tensors in a safetensors file (format:
// huggingface/safetensors README), read by Python as well. Tensors: `tokens` I32 [n_pos], `logits`
// F32 [n_pos, n_vocab], `name#occurrence` for each capture; `__metadata__` holds strings only, with
// `schema` = "crossval/trace-file/1". Files from elsewhere are read too: no schema, I64 ids, F16 or
// BF16 logits, a batch dimension of 1, logits of the last position alone (docs/trace-file.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"
#include "engine/engine.h"
#include "gguf/types.h"

namespace crossval {

// Keys of `__metadata__` beside the schema; unknown ones are kept and ignored.
namespace trace_key {
inline constexpr const char* kSchema = "schema";
inline constexpr const char* kEngine = "engine";           // "native", "llama.cpp", ...
inline constexpr const char* kVersion = "engine_version";  // as the engine says itself
inline constexpr const char* kLibrary = "engine_library";
inline constexpr const char* kSettings = "settings";  // JSON object of strings
inline constexpr const char* kModel = "model";        // path
inline constexpr const char* kModelSha256 = "model_sha256";
inline constexpr const char* kNThreads = "n_threads";
inline constexpr const char* kPrompt = "prompt";     // formatted; absent if ids were given
inline constexpr const char* kNPrompt = "n_prompt";  // how many of the ids are the prompt
inline constexpr const char* kTaps = "taps";  // JSON object: capture's name -> ggml's operation
}  // namespace trace_key

using TraceMetadata = std::map<std::string, std::string>;

// What is worth keeping of a run, in the keys above.
TraceMetadata trace_metadata(const EngineInfo& info, const std::string& model_sha256,
                             const std::string& prompt, int n_prompt);

// `text` as JSON can hold it: bytes that are no UTF-8 become U+FFFD. Saved prompts went through it.
std::string valid_utf8(const std::string& text);

using TraceTensor = SafetensorsTensor;

class TraceFile {
 public:
  // Maps and checks the file. Throws bad_input.
  static std::shared_ptr<const TraceFile> open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::vector<TokenId>& tokens() const { return tokens_; }
  int64_t n_positions() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t n_vocab() const { return n_vocab_; }
  // The first position that the file has logits of; the last one where it has only that.
  int64_t first_row() const { return first_row_; }
  // The first out.size() <= n_vocab values of a row. Throws bad_input before first_row().
  void read_logits(int64_t position, std::span<float> out) const;

  const TraceMetadata& metadata() const { return metadata_; }
  std::string metadata(const std::string& key) const;  // "" when absent
  // All tensors by name, `tokens` and `logits` included.
  const std::map<std::string, TraceTensor, std::less<>>& tensors() const { return tensors_; }

  explicit TraceFile(const std::string& path);

 private:
  void read_header();
  void use_tokens();
  void use_logits();

  MappedFile file_;
  TraceMetadata metadata_;
  std::map<std::string, TraceTensor, std::less<>> tensors_;
  std::vector<TokenId> tokens_;
  std::span<const std::byte> logits_;
  GgmlType logits_type_ = GgmlType::F32;
  int64_t n_vocab_ = 0, first_row_ = 0;
};

// Writes rows as they come: neither all positions nor their number need be known in advance. The
// file appears under its name at finish(), whole or not at all.
class TraceWriter {
 public:
  // `max_captures` bounds the calls of write_capture (room for them is kept in the header).
  TraceWriter(const std::string& path, TraceMetadata metadata, int n_vocab, int max_captures = 0);

  // The next position: the id evaluated there and its logits, n_vocab of them.
  void write_row(TokenId token, std::span<const float> logits);
  // Before the first row or after the last. `name` is "Qcur-3#0"; values are F32, row-major,
  // positions first; `op` the operation they come from, where that is known. Throws bad_input
  // beyond max_captures.
  void write_capture(const std::string& name, const std::vector<int64_t>& shape,
                     std::span<const float> values, const std::string& op = "");
  void finish();

  int64_t n_rows() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Entry {
    std::string name, dtype, op;
    std::vector<int64_t> shape;
    uint64_t begin, end;
  };
  uint64_t n_data_bytes() const;
  std::string header() const;

  AtomicFile file_;
  TraceMetadata metadata_;
  int64_t n_vocab_;
  size_t header_bytes_ = 0;  // kept free at the beginning, behind the 8 bytes of its length
  size_t max_captures_;
  uint64_t logits_begin_ = 0;  // in the data
  std::vector<TokenId> tokens_;
  std::vector<Entry> captures_;
};

}  // namespace crossval
