#include "engine/trace_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/half.h"
#include "base/json_depth.h"
#include "base/printable.h"

namespace crossval {
namespace {

using Json = nlohmann::json;

constexpr const char* kSchemaName = "crossval/trace-file/1";
constexpr uint64_t kMaxHeaderBytes =
    8 << 20;  // of a trace: some hundred KB; parsing takes 40 times it
constexpr const char* kSaveAgain = "save the trace again with --save-trace";

[[noreturn]] void damaged(const std::string& path, std::string what, const std::string& at) {
  bad_input("damaged_trace", std::move(what), at.empty() ? path : path + ": " + at, kSaveAgain);
}

// [1, n] as [n]: what a model is run with has a dimension of batches in front.
std::vector<int64_t> without_batch(std::vector<int64_t> shape, size_t n_dims) {
  if (shape.size() == n_dims + 1 && shape.front() == 1) shape.erase(shape.begin());
  return shape;
}

// Text as JSON must have it; invalid UTF-8 is replaced.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string valid_utf8(const std::string& text) {
  return Json::parse(dump(Json(text))).get<std::string>();
}

TraceMetadata trace_metadata(const EngineInfo& info, const std::string& model_sha256,
                             const std::string& prompt, int n_prompt) {
  TraceMetadata metadata = {{trace_key::kEngine, info.name},
                            {trace_key::kVersion, info.version},
                            {trace_key::kLibrary, info.library},
                            {trace_key::kSettings, dump(Json(info.settings))},
                            {trace_key::kModel, info.model},
                            {trace_key::kModelSha256, model_sha256},
                            {trace_key::kNThreads, std::to_string(info.n_threads)},
                            {trace_key::kNPrompt, std::to_string(n_prompt)}};
  if (!prompt.empty()) metadata[trace_key::kPrompt] = valid_utf8(prompt);
  return metadata;
}

std::shared_ptr<const TraceFile> TraceFile::open(const std::string& path) {
  return std::make_shared<TraceFile>(path);
}

TraceFile::TraceFile(const std::string& path) : file_(path, "saved trace") {
  read_header();
  use_tokens();
  use_logits();
}

std::string TraceFile::metadata(const std::string& key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? "" : it->second;
}

void TraceFile::read_header() {
  static constexpr SafetensorsWords kWords = {
      .foreign_code = "not_a_trace",
      .foreign_fix = "name a .safetensors file written with --save-trace",
      .damaged_code = "damaged_trace",
      .damaged_fix = kSaveAgain,
      .max_header_bytes = kMaxHeaderBytes};
  SafetensorsHeader header = read_safetensors(file_.bytes(), path(), kWords);
  metadata_ = std::move(header.metadata);
  tensors_ = std::move(header.tensors);
  const std::string schema = metadata(trace_key::kSchema);
  if (!schema.empty() && schema != kSchemaName) {
    bad_input("not_a_trace",
              fmt::format("the safetensors file is not a saved trace: its schema is '{}', not '{}'",
                          printable(schema), kSchemaName),
              path(), kSaveAgain);
  }
}

void TraceFile::use_tokens() {
  const auto found = tensors_.find("tokens");
  if (found == tensors_.end()) damaged(path(), "it has to be there", "tensor 'tokens'");
  const TraceTensor& tokens = found->second;
  const std::vector<int64_t> shape = without_batch(tokens.shape, 1);
  if ((tokens.dtype != "I32" && tokens.dtype != "I64") || shape.size() != 1) {
    damaged(path(),
            fmt::format("ids are I32 or I64, of one dimension; these are {} of {}",
                        printable(tokens.dtype), tokens.shape.size()),
            "tensor 'tokens'");
  }
  tokens_.resize(static_cast<size_t>(shape[0]));
  const bool is_wide = tokens.dtype == "I64";
  for (size_t i = 0; i < tokens_.size(); ++i) {
    int64_t id = 0;
    if (is_wide) {
      std::memcpy(&id, tokens.data.data() + i * sizeof id, sizeof id);
    } else {
      int32_t narrow = 0;
      std::memcpy(&narrow, tokens.data.data() + i * sizeof narrow, sizeof narrow);
      id = narrow;
    }
    if (id < 0 || id > INT32_MAX) {
      damaged(path(), fmt::format("{} at position {} is no id", id, i), "tensor 'tokens'");
    }
    tokens_[i] = static_cast<TokenId>(id);
  }
}

void TraceFile::use_logits() {
  const auto found = tensors_.find("logits");
  if (found == tensors_.end()) damaged(path(), "it has to be there", "tensor 'logits'");
  const TraceTensor& logits = found->second;
  const std::optional<GgmlType> type = logits.float_type();
  std::vector<int64_t> shape = without_batch(logits.shape, 2);
  if (shape.size() == 1) shape.insert(shape.begin(), 1);
  const bool is_last_alone = shape.size() == 2 && shape[0] == 1;
  if (!type || shape.size() != 2 || (shape[0] != n_positions() && !is_last_alone)) {
    damaged(path(),
            fmt::format("logits are F32, F16 or BF16, [{}, n_vocab], or the last row alone; these "
                        "are {} [{}]",
                        n_positions(), printable(logits.dtype), fmt::join(logits.shape, ", ")),
            "tensor 'logits'");
  }
  n_vocab_ = shape[1];
  if (n_vocab_ < 1 || n_vocab_ > INT32_MAX || n_positions() < 1 || n_positions() > INT32_MAX) {
    damaged(path(), fmt::format("a trace of {} positions over {} tokens", n_positions(), n_vocab_),
            "tensor 'logits'");
  }
  first_row_ = n_positions() - shape[0];
  logits_type_ = *type;
  logits_ = logits.data;
}

void TraceFile::read_logits(int64_t position, std::span<float> out) const {
  assert(position >= 0 && position < n_positions());
  assert(static_cast<int64_t>(out.size()) <= n_vocab_);
  if (position < first_row_) {
    bad_input("no_logits", "the file has logits of the last position alone", path(),
              "compare that one: --positions 1");
  }
  const size_t value_bytes = logits_type_ == GgmlType::F32 ? sizeof(float) : sizeof(uint16_t);
  const std::byte* row = logits_.data() + static_cast<size_t>(position - first_row_) *
                                              static_cast<size_t>(n_vocab_) * value_bytes;
  const auto n = static_cast<int64_t>(out.size());
  if (logits_type_ == GgmlType::F16) {
    f16_to_f32_row(row, n, out.data());
  } else if (logits_type_ == GgmlType::BF16) {
    bf16_to_f32_row(row, n, out.data());
  } else {
    std::memcpy(out.data(), row, out.size_bytes());
  }
}

TraceWriter::TraceWriter(const std::string& path, TraceMetadata metadata, int n_vocab,
                         int max_captures)
    : file_(path),
      metadata_(std::move(metadata)),
      n_vocab_(n_vocab),
      max_captures_(static_cast<size_t>(max_captures)) {
  constexpr size_t bytes_an_entry = 320;  // two names of up to 80 bytes and four large dimensions
  metadata_[trace_key::kSchema] = kSchemaName;
  header_bytes_ = header().size() + bytes_an_entry * (2 + max_captures_);
  header_bytes_ = (header_bytes_ + 7) / 8 * 8;  // the data begins aligned
  file_.write(std::string(sizeof(uint64_t) + header_bytes_, ' '));
}

// Written so far, behind the header.
uint64_t TraceWriter::n_data_bytes() const {
  return file_.n_written() - sizeof(uint64_t) - header_bytes_;
}

// When all but the ids is written.
std::string TraceWriter::header() const {
  Json header;
  Json ops;
  const auto add = [&header](const Entry& entry) {
    header[entry.name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  };
  const uint64_t logits_end =
      logits_begin_ + tokens_.size() * static_cast<uint64_t>(n_vocab_) * sizeof(float);
  uint64_t data_end = logits_end;
  add({"logits", "F32", "", {n_rows(), n_vocab_}, logits_begin_, logits_end});
  for (const Entry& entry : captures_) {
    add(entry);
    data_end = std::max(data_end, entry.end);
    if (!entry.op.empty()) ops[entry.name] = entry.op;
  }
  add({"tokens", "I32", "", {n_rows()}, data_end, data_end + tokens_.size() * sizeof(TokenId)});
  header["__metadata__"] = metadata_;
  if (!ops.empty()) header["__metadata__"][trace_key::kTaps] = dump(ops);
  return dump(header);
}

void TraceWriter::write_row(TokenId token, std::span<const float> logits) {
  assert(static_cast<int64_t>(logits.size()) == n_vocab_);
  if (tokens_.empty()) logits_begin_ = n_data_bytes();
  assert(n_data_bytes() == logits_begin_ + tokens_.size() * logits.size_bytes());
  file_.write(std::as_bytes(logits));
  tokens_.push_back(token);
}

void TraceWriter::write_capture(const std::string& name, const std::vector<int64_t>& shape,
                                std::span<const float> values, const std::string& op) {
  if (captures_.size() == max_captures_) {
    bad_input("too_many_taps",
              fmt::format("'{}' would be tensor {} of the trace, which has room for {}",
                          printable(name), captures_.size() + 1, max_captures_),
              "--taps", "save fewer tensors, for instance --taps 'l_out|result_norm'");
  }
  const uint64_t begin = n_data_bytes();
  file_.write(std::as_bytes(values));
  captures_.push_back({name, "F32", op, shape, begin, begin + values.size_bytes()});
}

void TraceWriter::finish() {
  file_.write(std::as_bytes(std::span<const TokenId>(tokens_)));
  std::string text = header();
  if (text.size() > header_bytes_) {
    bad_input("too_many_taps", "the captured tensors' names are longer than a trace has room for",
              "--taps", "save fewer tensors, for instance --taps 'l_out|result_norm'");
  }
  text.resize(header_bytes_, ' ');
  const uint64_t length = header_bytes_;
  file_.rewrite(0, std::string_view(reinterpret_cast<const char*>(&length), sizeof(length)));
  file_.rewrite(sizeof(length), text);
  file_.commit();
}

}  // namespace crossval
