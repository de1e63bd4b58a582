// Ollama (docs.ollama.com, "Generate a response" and "List models"): /api/version, /api/tags,
// /api/generate. `raw` keeps its templates away; logprobs and top_logprobs (at most 20) are of what
// it generates. It takes no ids and tells none.
#include "base/error.h"
#include "by_text.h"
#include "dialect.h"

namespace crossval::http {
namespace {

using nlohmann::json;

constexpr const char* kGenerate = "/api/generate";
constexpr int kMostTop = 20;

class Ollama : public Dialect {
 public:
  Ollama(Client& client, const std::string& version) : Dialect(client) {
    facts_ = {.engine = "Ollama", .version = version, .needs_vocabulary = true};
  }

  ModelFacts load(const Settings& settings) override {
    const Answer models = client_.get("/api/tags");
    if (!models.is_ok()) client_.refuse("/api/tags", models);
    model_ = choose_model(client_, models.body, "models", "name", settings.model);
    n_top_ = std::min(settings.n_top, kMostTop);
    return {.model = model_, .settings = {{"log_probabilities", "texts, one id a request"}}};
  }

 private:
  TopRow row_after(std::span<const TokenId> ids) override {
    const json answer =
        client_.need(kGenerate, {{"model", model_},
                                 {"prompt", text_up_to(client_, vocabulary(), ids)},
                                 {"raw", true},
                                 {"stream", false},
                                 {"logprobs", true},
                                 {"top_logprobs", n_top_},
                                 {"options", {{"num_predict", 1}, {"temperature", 0}}}});
    const Reading reading(client_, kGenerate);
    // What it had evaluated before is not counted.
    if (const int n = count_or(answer, "prompt_eval_count"); n > static_cast<int>(ids.size())) {
      bad_input("other_ids",
                "the server reads the text as " + std::to_string(n) + " ids, which are " +
                    std::to_string(ids.size()) + " here",
                client_.url().origin(),
                "it adds its own BOS, perhaps: --bos off; or compare with a server that takes ids");
    }
    const json& chosen = reading.element(reading.list(answer, "logprobs"), 0, "logprobs");
    TextRow row;
    for (const json& one : reading.list(chosen, "top_logprobs")) {
      row.add(token_text(reading, one), reading.logprob(reading.at(one, "logprob")));
    }
    return row.settle(reading, vocabulary(), n_top_);
  }

  std::string model_;
  int n_top_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> find_ollama(Client& client) {
  const Answer version = client.get("/api/version");
  if (!version.is_ok() || text_or(version.body, "version").empty()) return nullptr;
  return std::make_unique<Ollama>(client, text_or(version.body, "version"));
}

}  // namespace crossval::http
