// `plamo2` vocabularies: the sequence of tokens with the best sum of scores, in whole
// ten-thousandths; a character no token fits costs more than any of them and is written as its
// bytes. Among equals the longest token counts. Nothing is added to a text (llama.cpp,
// llm_tokenizer_plamo2, which finds the tokens at each place through a table of suffixes).

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/utf8.h"
#include "text/gguf_tokenizer.h"
#include "text/pieces.h"
#include "text/token_search.h"
#include "text/utf8.h"

namespace crossval {
namespace {

constexpr int64_t kUnknownScore = -10'000'000, kNeverScore = -20'000'000;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

class Plamo2Tokenizer : public GgufTokenizer {
 public:
  Plamo2Tokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path) {
    std::vector<std::pair<std::string, int32_t>> tokens;
    scores_.assign(vocabulary_.tokens.size(), kNeverScore);
    for (size_t index = 0; index < vocabulary_.tokens.size(); ++index) {
      const std::string& token = vocabulary_.tokens[index];
      const auto id = static_cast<int32_t>(index);
      if (vocabulary_.attrs[index] & kTokenByte) {
        const int byte = byte_of_token(token);
        if (byte >= 0) byte_ids_[static_cast<size_t>(byte)] = id;
        continue;
      }
      scores_[index] = score_of(index);
      has_padding_ = has_padding_ || scores_[index] == kUnknownScore;
      // Part of a character is never cut off.
      if (scores_[index] > kNeverScore && is_valid_utf8(token)) tokens.emplace_back(token, id);
    }
    for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
      // llama.cpp takes id 0 for none, and refuses the model.
      if (byte_ids_[byte] == 0) unusable(fmt::format("it has no token <0x{:02X}>", byte));
    }
    search_ = TokenSearch(std::move(tokens));
  }

  std::string known_difference() const override {
    if (!has_padding_) return "";
    return "llama.cpp writes the character before a padding token (one with a score of -1000) that "
           "stands in the text as bytes, whatever else fits there";
  }

 private:
  struct Step {
    int64_t cost = 0;
    size_t length = 0;
    int32_t id = -1;  // -1: the bytes of a character
  };

  int64_t score_of(size_t index) const {
    const double score = std::round(static_cast<double>(vocabulary_.scores[index]) * 1e4);
    if (!std::isfinite(score) || score <= static_cast<double>(kNeverScore)) return kNeverScore;
    if (score > INT32_MAX) unusable(fmt::format("the score of token {} is too large", index));
    return static_cast<int64_t>(score);
  }

  void encode_text(std::string_view text, bool, std::vector<int32_t>& ids) const override {
    std::string prepared = readable(text);
    if (prepared.starts_with(kByteOrderMark)) prepared.erase(0, kByteOrderMark.size());
    const std::vector<Step> steps = best_steps(prepared);
    for (size_t at = 0; at < prepared.size(); at += steps[at].length) {
      if (steps[at].id >= 0) {
        ids.push_back(steps[at].id);
        continue;
      }
      for (const char c : prepared.substr(at, steps[at].length)) {
        ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
      }
    }
  }

  // For each place where a character begins: the best step from there to the end of `text`.
  std::vector<Step> best_steps(std::string_view text) const {
    std::vector<Step> steps(text.size() + 1);
    std::vector<TokenSearch::Match> matches;
    for (size_t at = text.size(); at-- > 0;) {
      const size_t n_bytes = valid_character_length(text.substr(at));
      if (n_bytes == 0) continue;  // amid a character
      search_.prefixes_of(text.substr(at), matches);
      Step best = {INT64_MAX, 0, -1};
      const auto consider = [&](size_t length, int32_t id, int64_t score) {
        const int64_t cost = steps[at + length].cost - score;
        if (cost < best.cost) best = {cost, length, id};
        return score != kUnknownScore;  // llama.cpp ends its list of tokens at such a score
      };
      bool more = true;
      while (more && !matches.empty()) {
        const auto [length, id] = matches.back();
        more = consider(length, id, scores_[static_cast<size_t>(id)]);
        matches.pop_back();
      }
      if (more) consider(n_bytes, -1, kUnknownScore);
      steps[at] = best;
    }
    return steps;
  }

  TokenSearch search_;
  std::vector<int64_t> scores_;  // in ten-thousandths
  std::array<int32_t, 256> byte_ids_ = {};
  bool has_padding_ = false;
};

}  // namespace

std::unique_ptr<Tokenizer> make_plamo2_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<Plamo2Tokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
