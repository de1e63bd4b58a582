// Servers that take texts alone, and name tokens by their text: each position is the text of the
// ids up to it, and texts are told back by the model's vocabulary.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "base/error.h"
#include "reading.h"
#include "vocabulary.h"

namespace crossval::http {

// The text that the first ids of a prompt stand for. Throws bad_input where it ends within a
// character: JSON cannot say that.
std::string text_up_to(const Client& client, const Vocabulary& vocabulary,
                       std::span<const int32_t> ids);

// A token's own text: its "bytes" where they are told, else `token`.
std::string token_text(const Reading& reading, const nlohmann::json& one);

// Collects a row of texts. What comes behind a text that is no token's, or several tokens', is left
// out: a row may end early, but has no gaps. Throws backend_failed where nothing is left.
class TextRow {
 public:
  void add(const std::string& text, float logprob) { entries_.push_back({text, logprob}); }
  TopRow settle(const Reading& reading, const Vocabulary& vocabulary, int n_top);

 private:
  struct Entry {
    std::string text;
    float logprob;
  };
  std::vector<Entry> entries_;
};

}  // namespace crossval::http
