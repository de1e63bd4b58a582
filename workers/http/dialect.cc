#include "dialect.h"

#include "base/error.h"

namespace crossval::http {

std::vector<TokenId> Dialect::tokenize(const std::string&, Bos, bool) {
  backend_failed("no_tokenizer", "this server has no tokenizer", client_.url().origin(),
                 "give the prompt as ids: --tokens 1,2,3");
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
