// Text Generation Inference (huggingface.co/docs/text-generation-inference, its openapi.json):
// /info, /tokenize, /generate. decoder_input_details tells the ids that it read, which are held
// against ours; top_n_tokens (at most 5 unless the server was told otherwise) the likeliest of what
// it generates, with their ids. It takes no ids.
#include "base/error.h"
#include "by_text.h"
#include "dialect.h"

namespace crossval::http {
namespace {

using nlohmann::json;

constexpr const char* kGenerate = "/generate";
constexpr int kMostTop = 5;

class Tgi : public Dialect {
 public:
  Tgi(Client& client, const json& info) : Dialect(client), model_(text_or(info, "model_id")) {
    facts_ = {.engine = "TGI",
              .version = text_or(info, "version"),
              .tokenizes = client.post("/tokenize", {{"inputs", "a"}}).is_ok(),
              .needs_vocabulary = true};
  }

  ModelFacts load(const Settings& settings) override {
    n_top_ = std::min(settings.n_top, kMostTop);
    return {.model = model_, .settings = {{"log_probabilities", "texts, one id a request"}}};
  }

  std::vector<TokenId> tokenize(const std::string& text, Bos bos, bool parse_special) override {
    if (!parse_special || bos == Bos::off) {
      bad_input("special_is_parsed", "TGI reads special tokens and adds its BOS always",
                "--special, --bos", "leave them out, or give the prompt as ids: --tokens");
    }
    const json answer =
        client_.need("/tokenize", {{"inputs", text}, {"add_special_tokens", bos != Bos::off}});
    const Reading reading(client_, "/tokenize");
    return reading.ids(answer);
  }

 private:
  // It adds its own BOS to what it reads.
  TopRow row_after(std::span<const TokenId> ids) override {
    json answer = ask(ids);
    const Reading reading(client_, kGenerate);
    std::vector<TokenId> read = ids_read(reading, answer);
    const bool has_two =
        read.size() == ids.size() + 1 && std::equal(ids.begin(), ids.end(), read.begin() + 1);
    if (has_two && ids.size() > 1 && read[0] == read[1]) {
      answer = ask(ids.subspan(1));
      read = ids_read(reading, answer);
    }
    if (!std::ranges::equal(read, ids)) {
      bad_input("other_ids",
                "the server reads the text of the first " + std::to_string(ids.size()) +
                    " ids as other ids",
                client_.url().origin(),
                "compare with a server that takes ids (llama-server, vLLM)");
    }
    const json& details = reading.at(answer, "details");
    TopRow row;
    for (const json& one : reading.element(reading.list(details, "top_tokens"), 0, "top_tokens")) {
      row.push_back(
          {reading.id(reading.at(one, "id")), reading.logprob(reading.at(one, "logprob"))});
    }
    keep_likeliest(row, n_top_);
    return row;
  }

  json ask(std::span<const TokenId> ids) {
    return client_.need(kGenerate, {{"inputs", text_up_to(client_, vocabulary(), ids)},
                                    {"parameters",
                                     {{"max_new_tokens", 1},
                                      {"details", true},
                                      {"decoder_input_details", true},
                                      {"top_n_tokens", n_top_},
                                      {"do_sample", false}}}});
  }

  static std::vector<TokenId> ids_read(const Reading& reading, const json& answer) {
    return reading.ids(reading.list(reading.at(answer, "details"), "prefill"));
  }

  std::string model_;
  int n_top_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> find_tgi(Client& client) {
  const Answer info = client.get("/info");
  if (!info.is_ok() || !info.body.is_object() || !info.body.contains("model_id")) return nullptr;
  return std::make_unique<Tgi>(client, info.body);
}

}  // namespace crossval::http
