#include "dialect.h"

#include <cassert>

#include "base/error.h"
#include "reading.h"

namespace crossval::http {

std::vector<TokenId> Dialect::tokenize(const std::string&, Bos, bool) {
  backend_failed("no_tokenizer", "this server has no tokenizer", client_.url().origin(),
                 "give the prompt as ids: --tokens 1,2,3");
}

std::vector<TokenId> Dialect::tokenize_as_vllm(const std::string& model, const std::string& text,
                                               Bos bos, bool parse_special) {
  if (!parse_special) {
    bad_input("special_is_parsed", facts_.engine + " reads special tokens written in a text always",
              "--special", "leave it out, or give the prompt as ids: --tokens");
  }
  const nlohmann::json answer = client_.need(
      "/tokenize", {{"model", model}, {"prompt", text}, {"add_special_tokens", bos != Bos::off}});
  const Reading reading(client_, "/tokenize");
  return reading.ids(reading.list(answer, "tokens"));
}

std::vector<TopRow> Dialect::rows(std::span<const TokenId> ids, size_t first, size_t n) {
  std::vector<TopRow> out;
  for (size_t i = first; i < first + n; ++i) out.push_back(row_after(ids.first(i + 1)));
  return out;
}

TopRow Dialect::row_after(std::span<const TokenId>) {
  assert(false && "a dialect has rows() or row_after() of its own");
  return {};
}

std::optional<std::string> Dialect::render(const nlohmann::json&) { return std::nullopt; }

const Vocabulary& Dialect::vocabulary() const {
  if (!vocabulary_) {
    backend_failed("worker_protocol", "the vocabulary was not sent", "worker",
                   "send `vocabulary` first");
  }
  return *vocabulary_;
}

std::unique_ptr<Dialect> recognise(Client& client) {
  // OpenAI's paths come last: every one of the others has them too.
  for (const auto find :
       {find_llama_server, find_vllm, find_sglang, find_ollama, find_tgi, find_openai}) {
    if (auto dialect = find(client)) return dialect;
  }
  backend_failed(
      "unknown_server",
      "it answers none of the questions by which llama-server, vLLM, SGLang, Ollama, TGI "
      "and servers with OpenAI's API are known",
      client.url().origin() + client.url().path,
      "check the address; a prefix before /v1 belongs to it");
}

}  // namespace crossval::http
