// What differs between servers: how each is known, tokenises, and gives log-probabilities. One file
// a server; dialect.cc has the table, in the order in which they are asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client.h"
#include "engine/top_row.h"
#include "vocabulary.h"

namespace crossval::http {

using TokenId = int32_t;

struct ServerFacts {
  std::string engine;   // "llama-server"
  std::string version;  // "" = it does not tell
  bool tokenizes = false;
  bool renders = false;           // it has the model's chat template and says what it makes
  bool needs_vocabulary = false;  // it names tokens by their text
};

struct ModelFacts {
  std::string model;  // as the server calls it
  int n_vocab = 0, n_ctx_train = 0;
  std::map<std::string, std::string> settings;
};

struct Settings {
  std::string model;  // "" = the only one
  int n_top = 0;
};

enum class Bos { automatic, on, off };

class Dialect {
 public:
  explicit Dialect(Client& client) : client_(client) {}
  virtual ~Dialect() = default;

  const ServerFacts& facts() const { return facts_; }
  virtual ModelFacts load(const Settings& settings) = 0;
  virtual std::vector<TokenId> tokenize(const std::string& text, Bos bos, bool parse_special);
  // nullopt: the model has no template.
  virtual std::optional<std::string> render(const nlohmann::json& messages);
  // What may follow ids[0..i], for i from `first` on, n_top tokens of each: n rows, or more where
  // they come for nothing.
  virtual std::vector<TopRow> rows(std::span<const TokenId> ids, size_t first, size_t n);

  void set_vocabulary(Vocabulary vocabulary) { vocabulary_ = std::move(vocabulary); }

 protected:
  const Vocabulary& vocabulary() const;
  // Of servers that tell one position a request: rows() asks for each.
  virtual TopRow row_after(std::span<const TokenId> ids);
  // As vLLM's /tokenize, which others took over. Special tokens in a text are always read.
  std::vector<TokenId> tokenize_as_vllm(const std::string& model, const std::string& text, Bos bos,
                                        bool parse_special);

  Client& client_;
  ServerFacts facts_;
  std::optional<Vocabulary> vocabulary_;
};

// Asks the server what it is. Throws backend_failed where nothing is known of it.
std::unique_ptr<Dialect> recognise(Client& client);

// Each: null where the server is another.
std::unique_ptr<Dialect> find_llama_server(Client& client);
std::unique_ptr<Dialect> find_vllm(Client& client);
std::unique_ptr<Dialect> find_sglang(Client& client);
std::unique_ptr<Dialect> find_ollama(Client& client);
std::unique_ptr<Dialect> find_tgi(Client& client);
std::unique_ptr<Dialect> find_openai(Client& client);

}  // namespace crossval::http
