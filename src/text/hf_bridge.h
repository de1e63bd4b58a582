// The Rust library (rust/hf/include/hf.h) with C++ ownership: results are values, failures are
// HfError. Callers turn HfError into an Error that names their own input.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct hf_tokenizer;

namespace crossval {

struct HfError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct BpeConfig {
  std::span<const std::string> tokens;         // index = id
  std::span<const std::string_view> merges;    // "left right" in rank order
  std::span<const std::string_view> patterns;  // the pre-tokenizer's expressions
  bool ignore_merges = false;
  bool byte_level = true;
};

struct UnigramConfig {
  std::span<const std::string> tokens;  // index = id; "" never comes out of text
  std::span<const float> scores;
  int32_t unknown_id = -1;
};

struct BertConfig {
  std::span<const std::string> tokens;
  int32_t unknown_id = -1;
  bool lowercase = true, strip_accents = true;
};

class HfTokenizer {
 public:
  // `n_skipped_merges`: merges that name a token which the vocabulary lacks.
  static HfTokenizer bpe(const BpeConfig& config, size_t* n_skipped_merges);
  static HfTokenizer unigram(const UnigramConfig& config);
  static HfTokenizer bert(const BertConfig& config);
  // parse_special: special added tokens written in a text become their ids.
  static HfTokenizer from_json(std::string_view json, bool parse_special);

  // `text` must be valid UTF-8. add_special: with the post-processor's tokens.
  std::vector<int32_t> encode(std::string_view text, bool add_special) const;
  int vocab_size() const;
  std::optional<std::string> id_to_token(int32_t id) const;
  bool is_special(int32_t id) const;

 private:
  struct Free {
    void operator()(hf_tokenizer* tokenizer) const;
  };
  explicit HfTokenizer(hf_tokenizer* tokenizer) : tokenizer_(tokenizer) {}
  std::unique_ptr<hf_tokenizer, Free> tokenizer_;
};

// Renders a Jinja chat template; `context` is a JSON object of the variables.
std::string hf_render(std::string_view source, const std::string& context);

}  // namespace crossval
