// SGLang (docs.sglang.io, "Native APIs" and "Sampling Parameters"; srt/managers/io_struct.py):
// /get_model_info (/model_info since 0.5), /tokenize where it is new enough, /generate with
// return_logprob: meta_info.input_top_logprobs has [[logprob, id, text], ...] of every position of
// the prompt at once, null first; output_top_logprobs[0] what follows the last.
#include "base/error.h"
#include "dialect.h"
#include "reading.h"

namespace crossval::http {
namespace {

using nlohmann::json;

constexpr const char* kGenerate = "/generate";

class Sglang : public Dialect {
 public:
  Sglang(Client& client, const json& info) : Dialect(client), model_(text_or(info, "model_path")) {
    facts_ = {.engine = "SGLang", .version = text_or(info, "version")};
    const Answer try_out = client.post("/tokenize", {{"model", model_}, {"prompt", "a"}});
    facts_.tokenizes = try_out.is_ok() && try_out.body.contains("tokens");
  }

  ModelFacts load(const Settings& settings) override {
    n_top_ = settings.n_top;
    return {.model = model_, .settings = {{"log_probabilities", "input_top_logprobs"}}};
  }

  std::vector<TokenId> tokenize(const std::string& text, Bos bos, bool parse_special) override {
    return tokenize_as_vllm(model_, text, bos, parse_special);
  }

  std::vector<TopRow> rows(std::span<const TokenId> ids, size_t first, size_t) override {
    const json answer =
        client_.need(kGenerate, {{"input_ids", std::vector(ids.begin(), ids.end())},
                                 {"sampling_params", {{"max_new_tokens", 1}, {"temperature", 0}}},
                                 {"return_logprob", true},
                                 {"logprob_start_len", 0},
                                 {"top_logprobs_num", n_top_},
                                 {"stream", false}});
    const Reading reading(client_, kGenerate);
    const json& meta = reading.at(answer, "meta_info");
    const json& prompt = reading.list_of(meta, "input_top_logprobs", ids.size());
    std::vector<TopRow> out;
    for (size_t i = first; i + 1 < ids.size(); ++i) out.push_back(row_of(reading, prompt[i + 1]));
    out.push_back(row_of(reading, reading.element(reading.list(meta, "output_top_logprobs"), 0,
                                                  "output_top_logprobs")));
    return out;
  }

 private:
  TopRow row_of(const Reading& reading, const json& triples) const {
    if (!triples.is_array()) reading.lacks("input_top_logprobs");
    TopRow row;
    for (const json& one : triples) {
      row.push_back({reading.id(reading.element(one, 1, "id")),
                     reading.logprob(reading.element(one, 0, "logprob"))});
    }
    keep_likeliest(row, n_top_);
    return row;
  }

  std::string model_;
  int n_top_ = 0;
};

}  // namespace

std::unique_ptr<Dialect> find_sglang(Client& client) {
  for (const char* path : {"/get_model_info", "/model_info"}) {
    const Answer info = client.get(path);
    if (info.is_ok() && info.body.is_object() && info.body.contains("model_path")) {
      return std::make_unique<Sglang>(client, info.body);
    }
  }
  return nullptr;
}

}  // namespace crossval::http
