// Any server with OpenAI's completions (platform.openai.com/docs/api-reference/completions; LM
// Studio, llama-cpp-python and many others): /v1/models, /v1/completions. What it does is tried
// once, the best first: ids or a text as the prompt, `echo` with logprobs, which tells every
// position of the prompt at once, or one position a request. logprobs.top_logprobs has {"text":
// logprob} of each token; those of position i are at i + 1.
#include <charconv>

#include "base/error.h"
#include "by_text.h"
#include "dialect.h"

namespace crossval::http {
namespace {

using nlohmann::json;

constexpr const char* kCompletions = "/v1/completions";
constexpr int kOfFew[] = {20, 5, 1};  // as many as servers are known to give at most

// A token that is no whole character comes as bytes:\xe2\x80; any other as its text.
std::string bytes_of(const std::string& text) {
  constexpr std::string_view mark = "bytes:";
  constexpr size_t size_of_one = 4;  // \xNN
  if (!text.starts_with(mark) || (text.size() - mark.size()) % size_of_one != 0) return text;
  std::string bytes;
  for (size_t at = mark.size(); at < text.size(); at += size_of_one) {
    int value = 0;
    const char* digits = text.data() + at + 2;
    const auto [end, failed] = std::from_chars(digits, digits + 2, value, 16);
    if (text.compare(at, 2, "\\x") != 0 || failed != std::errc() || end != digits + 2) return text;
    bytes += static_cast<char>(value);
  }
  return bytes.empty() ? text : bytes;
}

class OpenAi : public Dialect {
 public:
  OpenAi(Client& client, json models) : Dialect(client), models_(std::move(models)) {
    const json& data = models_["data"];
    std::string owner = data.empty() ? "" : text_or(data[0], "owned_by");
    facts_ = {.engine = "OpenAI-compatible server", .version = owner, .needs_vocabulary = true};
  }

  ModelFacts load(const Settings& settings) override {
    model_ = choose_model(client_, models_, "data", "id", settings.model);
    n_top_ = settings.n_top;
    return {.model = model_, .settings = {{"log_probabilities", "completions"}}};
  }

  std::vector<TopRow> rows(std::span<const TokenId> ids, size_t first, size_t n) override {
    if (!way_) way_ = find_way(ids);
    std::vector<TopRow> out;
    if (way_->has_echo) {
      const json answer = *ask(ids, *way_);
      const Reading reading(client_, kCompletions);
      const json& tops = top_logprobs(reading, answer);
      for (size_t i = first; i < ids.size(); ++i) {
        out.push_back(row_of(reading, reading.element(tops, i + 1, "top_logprobs")));
      }
      return out;
    }
    for (size_t i = first; i < first + n; ++i) {
      const std::optional<json> answer = ask(ids.first(i + 1), *way_);
      const Reading reading(client_, kCompletions);
      if (!answer) client_.nonsense(kCompletions, "is an error, which it was not before");
      check_count(*answer, i + 1);
      out.push_back(
          row_of(reading, reading.element(top_logprobs(reading, *answer), 0, "top_logprobs")));
    }
    return out;
  }

 private:
  struct Way {
    bool takes_ids = false, has_echo = false;
  };

  // Its status, where that is no success: other ways are left.
  std::optional<json> ask(std::span<const TokenId> ids, const Way& way) {
    json prompt = way.takes_ids ? json(std::vector(ids.begin(), ids.end()))
                                : json(text_up_to(client_, vocabulary(), ids));
    json body = {{"model", model_},  {"prompt", std::move(prompt)}, {"max_tokens", 1},
                 {"temperature", 0}, {"logprobs", n_top_},          {"stream", false}};
    if (way.has_echo) body["echo"] = true;
    last_ = client_.post(kCompletions, body);
    if (!last_.is_ok()) return std::nullopt;
    return last_.body;
  }

  Way find_way(std::span<const TokenId> ids) {
    const int wanted = n_top_;
    for (const Way way : {Way{true, true}, Way{true, false}, Way{false, true}, Way{false, false}}) {
      n_top_ = wanted;
      std::optional<json> answer = ask(ids, way);
      for (const int fewer : kOfFew) {
        if (answer || fewer >= n_top_) continue;
        n_top_ = fewer;
        answer = ask(ids, way);
      }
      if (answer && fits(*answer, way, ids.size())) return way;
    }
    if (last_.is_ok()) {
      client_.nonsense(kCompletions,
                       "has no log-probabilities of these ids: such a server cannot be "
                       "compared");
    }
    client_.refuse(kCompletions, last_);
  }

  static bool fits(const json& answer, const Way& way, size_t n_ids) {
    const json* value = &answer;
    for (const char* key : {"choices", "", "logprobs", "top_logprobs"}) {
      if (*key == 0) {
        if (!value->is_array() || value->empty()) return false;
        value = &(*value)[0];
        continue;
      }
      if (!value->is_object() || !value->contains(key)) return false;
      value = &(*value)[key];
    }
    const json usage = answer.value("usage", json());
    const int n_read = count_or(usage, "prompt_tokens", static_cast<int>(n_ids));
    return value->is_array() && value->size() == (way.has_echo ? n_ids + 1 : 1) &&
           static_cast<size_t>(n_read) == n_ids;
  }

  void check_count(const json& answer, size_t n_ids) const {
    const int n_read = count_or(answer.value("usage", json()), "prompt_tokens", -1);
    if (n_read >= 0 && static_cast<size_t>(n_read) != n_ids) {
      bad_input("other_ids",
                "the server reads the text as " + std::to_string(n_read) + " ids, which are " +
                    std::to_string(n_ids) + " here",
                client_.url().origin(),
                "compare with a server that takes ids (llama-server, vLLM)");
    }
  }

  static const json& top_logprobs(const Reading& reading, const json& answer) {
    const json& choice = reading.element(reading.list(answer, "choices"), 0, "choices");
    return reading.list(reading.at(choice, "logprobs"), "top_logprobs");
  }

  TopRow row_of(const Reading& reading, const json& object) {
    if (!object.is_object()) reading.lacks("top_logprobs");
    TextRow row;
    for (const auto& [text, value] : object.items()) {
      row.add(bytes_of(text), reading.logprob(value));
    }
    return row.settle(reading, vocabulary(), n_top_);
  }

  json models_;
  std::string model_;
  int n_top_ = 0;
  std::optional<Way> way_;
  Answer last_;
};

}  // namespace

std::unique_ptr<Dialect> find_openai(Client& client) {
  Answer models = client.get("/v1/models");
  if (!models.is_ok() || !models.body.is_object() || !models.body.contains("data") ||
      !models.body["data"].is_array()) {
    return nullptr;
  }
  return std::make_unique<OpenAi>(client, std::move(models.body));
}

}  // namespace crossval::http
