// llama-server of llama.cpp (tools/server/README.md there): /props, /v1/models, /tokenize,
// /apply-template, /completion. It takes ids, and tells the n_probs likeliest tokens of the id that
// it samples, before its samplers touch them; of a prompt's ids it tells nothing. So each position
// is a request of one id: with cache_prompt it keeps what it computed and adds one. Of an id that
// is half a character or ends the text it tells nothing (process_token in server-context.cpp), so a
// bias makes it sample a plain letter; what it tells is of the logits before that.
#include "base/error.h"
#include "dialect.h"
#include "reading.h"

namespace crossval::http {
namespace {

using nlohmann::json;

class LlamaServer : public Dialect {
 public:
  LlamaServer(Client& client, const json& props)
      : Dialect(client), bos_(text_or(props, "bos_token")) {
    facts_ = {.engine = "llama-server",
              .version = text_or(props, "build_info"),
              .tokenizes = true,
              .renders = !text_or(props, "chat_template").empty()};
    model_ = text_or(props, "model_path", text_or(props, "model_alias"));
    // Several models at once (router mode): which is meant, each request would have to say.
    if (text_or(props, "role") == "router") {
      bad_input("several_models", "this llama-server hands requests on to several models",
                client.url().origin(), "give the address of one that serves a single model");
    }
  }

  ModelFacts load(const Settings& settings) override {
    n_top_ = settings.n_top;
    ModelFacts facts{.model = model_};
    const Answer models = client_.get("/v1/models");
    if (models.is_ok() && models.body.is_object() && models.body.contains("data")) {
      const json& data = models.body["data"];
      if (data.is_array() && data.size() == 1 && data[0].is_object() && data[0].contains("meta")) {
        facts.n_vocab = count_or(data[0]["meta"], "n_vocab");
        facts.n_ctx_train = count_or(data[0]["meta"], "n_ctx_train");
      }
    }
    if (const auto letter = tokens("a", false, false); !letter.empty()) letter_ = letter.front();
    facts.settings["log_probabilities"] = "n_probs, one id a request";
    return facts;
  }

  std::vector<TokenId> tokenize(const std::string& text, Bos bos, bool parse_special) override {
    std::vector<TokenId> ids = tokens(text, bos != Bos::off, parse_special);
    if (bos != Bos::on || bos_.empty()) return ids;
    const std::vector<TokenId> first = tokens(bos_, false, true);
    if (first.size() == 1 && (ids.empty() || ids.front() != first.front())) {
      ids.insert(ids.begin(), first.front());
    }
    return ids;
  }

  std::optional<std::string> render(const json& messages) override {
    const json answer = client_.need("/apply-template", {{"messages", messages}});
    return Reading(client_, "/apply-template").text(answer, "prompt");
  }

 private:
  std::vector<TokenId> tokens(const std::string& text, bool add_special, bool parse_special) {
    const json answer = client_.need(
        "/tokenize",
        {{"content", text}, {"add_special", add_special}, {"parse_special", parse_special}});
    const Reading reading(client_, "/tokenize");
    return reading.ids(reading.list(answer, "tokens"));
  }

  TopRow row_after(std::span<const TokenId> ids) override {
    const json answer =
        client_.need("/completion", {{"prompt", std::vector(ids.begin(), ids.end())},
                                     {"n_predict", 1},
                                     {"n_probs", n_top_},
                                     {"temperature", 0},
                                     {"samplers", json::array()},
                                     {"logit_bias", {{letter_, kBias}}},
                                     {"cache_prompt", true},
                                     {"stream", false}});
    const Reading reading(client_, "/completion");
    const int n_read = count_or(answer, "tokens_evaluated", -1);
    if (n_read >= 0 && static_cast<size_t>(n_read) != ids.size()) {
      reading.nonsense("is about " + std::to_string(n_read) + " ids, and " +
                       std::to_string(ids.size()) + " were sent");
    }
    if (answer.value("truncated", json()) == json(true)) {
      bad_input("context_too_small", "the server's context holds fewer ids than the prompt",
                client_.url().origin(), "start it with a larger --ctx-size");
    }
    const json& chosen = reading.element(reading.list(answer, "completion_probabilities"), 0,
                                         "completion_probabilities");
    TopRow row;
    for (const json& one : reading.list(chosen, "top_logprobs")) {
      row.push_back(
          {reading.id(reading.at(one, "id")), reading.logprob(reading.at(one, "logprob"))});
    }
    keep_likeliest(row, n_top_);
    return row;
  }

  static constexpr double kBias = 1e6;  // beyond any logit
  std::string bos_, model_;
  TokenId letter_ = 0;
  int n_top_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> find_llama_server(Client& client) {
  const Answer props = client.get("/props");
  if (!props.is_ok() || !props.body.is_object() ||
      !(props.body.contains("default_generation_settings") || props.body.contains("model_path"))) {
    return nullptr;
  }
  return std::make_unique<LlamaServer>(client, props.body);
}

}  // namespace crossval::http
