#include "by_text.h"

#include "base/printable.h"
#include "base/utf8.h"

namespace crossval::http {

std::string text_up_to(const Client& client, const Vocabulary& vocabulary,
                       std::span<const int32_t> ids) {
  std::string text = vocabulary.text_of(ids);
  if (replace_invalid_utf8(text) != text) {
    bad_input("not_utf8",
              "this server takes texts alone, and after " + std::to_string(ids.size()) +
                  " ids the text ends within a character",
              client.url().origin(),
              "compare a prompt of plain letters, or a server that takes ids (llama-server, vLLM)");
  }
  return text;
}

std::string token_text(const Reading& reading, const nlohmann::json& one) {
  const auto bytes = one.is_object() ? one.find("bytes") : one.end();
  if (!one.is_object() || bytes == one.end() || !bytes->is_array() || bytes->empty()) {
    return reading.text(one, "token");
  }
  std::string text;
  for (const nlohmann::json& value : *bytes) {
    const int32_t byte = reading.id(value);
    if (byte > 255) reading.lacks("bytes");
    text += static_cast<char>(byte);
  }
  return text;
}

TopRow TextRow::settle(const Reading& reading, const Vocabulary& vocabulary, int n_top) {
  std::ranges::stable_sort(entries_, std::greater<>(), &Entry::logprob);
  TopRow row;
  for (const Entry& entry : entries_) {
    const std::optional<int32_t> id = vocabulary.find(entry.text);
    if (!id) break;
    row.push_back({*id, entry.logprob});
  }
  if (row.empty()) {
    reading.nonsense(entries_.empty()
                         ? "has no log-probabilities"
                         : "names the token \"" + printable(entries_.front().text) +
                               "\", which no token of the model's vocabulary is, or several are");
  }
  keep_likeliest(row, n_top);
  return row;
}

}  // namespace crossval::http
