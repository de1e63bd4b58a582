// vLLM (docs.vllm.ai, "OpenAI-Compatible Server"; vllm/entrypoints/openai/completion/protocol.py,
// vllm/entrypoints/serve/tokenize): /version, /tokenize, /detokenize, /v1/completions with
// prompt_logprobs, which tells the likeliest tokens of every position of a prompt at once:
// [null, {"ID": {"logprob", "rank", "decoded_token"}, ...}, ...], those of position i at i + 1.
// What follows the last is the generated one's, under "token_id:ID" with
// return_tokens_as_token_ids.
#include <charconv>

#include "base/error.h"
#include "dialect.h"
#include "reading.h"

namespace crossval::http {
namespace {

using nlohmann::json;

constexpr const char* kCompletions = "/v1/completions";
constexpr std::string_view kIdMark = "token_id:";
// --max-logprobs of the server is 20 unless told otherwise.
constexpr int kServersOwnMost = 20;

class Vllm : public Dialect {
 public:
  Vllm(Client& client, const std::string& version, json models)
      : Dialect(client), models_(std::move(models)) {
    facts_ = {.engine = "vLLM", .version = version, .tokenizes = true, .renders = true};
  }

  ModelFacts load(const Settings& settings) override {
    model_ = choose_model(client_, models_, "data", "id", settings.model);
    n_top_ = settings.n_top;
    ModelFacts facts{.model = model_};
    for (const json& one : models_["data"]) {
      if (text_or(one, "id") != model_) continue;
      const std::string root = text_or(one, "root");
      if (!root.empty() && root != model_) facts.settings["root"] = root;
    }
    facts.settings["log_probabilities"] = "prompt_logprobs";
    return facts;
  }

  std::vector<TokenId> tokenize(const std::string& text, Bos bos, bool parse_special) override {
    return tokenize_as_vllm(model_, text, bos, parse_special);
  }

  // It tells ids of a conversation, and the text of ids.
  std::optional<std::string> render(const json& messages) override {
    const Answer ids = client_.post("/tokenize", {{"model", model_},
                                                  {"messages", messages},
                                                  {"add_generation_prompt", true},
                                                  {"add_special_tokens", false}});
    if (!ids.is_ok() || !ids.body.contains("tokens")) return std::nullopt;
    const json text =
        client_.need("/detokenize", {{"model", model_}, {"tokens", ids.body["tokens"]}});
    return Reading(client_, "/detokenize").text(text, "prompt");
  }

  std::vector<TopRow> rows(std::span<const TokenId> ids, size_t first, size_t) override {
    const json answer = complete(ids);
    const Reading reading(client_, kCompletions);
    const json& choice = reading.element(reading.list(answer, "choices"), 0, "choices");
    const json& prompt = reading.list_of(choice, "prompt_logprobs", ids.size());
    std::vector<TopRow> out;
    for (size_t i = first; i + 1 < ids.size(); ++i) out.push_back(by_id(reading, prompt[i + 1]));
    const json& last = reading.element(reading.list(reading.at(choice, "logprobs"), "top_logprobs"),
                                       0, "top_logprobs");
    out.push_back(by_id(reading, last));
    return out;
  }

 private:
  json complete(std::span<const TokenId> ids) {
    const auto ask = [&] {
      return client_.post(kCompletions, {{"model", model_},
                                         {"prompt", std::vector(ids.begin(), ids.end())},
                                         {"max_tokens", 1},
                                         {"temperature", 0},
                                         {"logprobs", n_top_},
                                         {"prompt_logprobs", n_top_},
                                         {"add_special_tokens", false},
                                         {"return_tokens_as_token_ids", true},
                                         {"stream", false}});
    };
    Answer answer = ask();
    if (answer.status == 400 && n_top_ > kServersOwnMost) {
      n_top_ = kServersOwnMost;
      answer = ask();
    }
    if (!answer.is_ok()) client_.refuse(kCompletions, answer);
    return std::move(answer.body);
  }

  // {"42": {"logprob": -1.5}} or {"token_id:42": -1.5}.
  TopRow by_id(const Reading& reading, const json& object) const {
    if (!object.is_object()) reading.lacks("logprob");
    TopRow row;
    for (const auto& [key, value] : object.items()) {
      std::string_view digits = key;
      if (digits.starts_with(kIdMark)) digits.remove_prefix(kIdMark.size());
      TokenId id = -1;
      const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
      if (failed != std::errc() || end != digits.data() + digits.size() || id < 0) {
        reading.nonsense("names tokens by something else than their ids");
      }
      row.push_back(
          {id, reading.logprob(value.is_object() ? reading.at(value, "logprob") : value)});
    }
    keep_likeliest(row, n_top_);
    return row;
  }

  json models_;
  std::string model_;
  int n_top_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> find_vllm(Client& client) {
  const Answer version = client.get("/version");
  if (!version.is_ok() || text_or(version.body, "version").empty()) return nullptr;
  Answer models = client.get("/v1/models");
  if (!models.is_ok() || !models.body.is_object() || !models.body.contains("data")) return nullptr;
  const json& data = models.body["data"];
  if (!data.is_array() || data.empty() || text_or(data[0], "owned_by") != "vllm") return nullptr;
  return std::make_unique<Vllm>(client, text_or(version.body, "version"), models.body);
}

}  // namespace crossval::http
