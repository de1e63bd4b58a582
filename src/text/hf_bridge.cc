#include "text/hf_bridge.h"

#include "hf.h"

namespace crossval {
namespace {

// Takes a C string of the library over; used for error texts.
std::string take(char* text) {
  std::string copy = text != nullptr ? text : "unknown error";
  hf_string_free(text);
  return copy;
}

std::string take(char* text, size_t size) {
  std::string copy(text, size);
  hf_string_free(text);
  return copy;
}

template <typename Strings>
std::vector<hf_str> views(const Strings& strings) {
  std::vector<hf_str> out;
  out.reserve(strings.size());
  for (const auto& s : strings) out.push_back({s.data(), s.size()});
  return out;
}

}  // namespace

void HfTokenizer::Free::operator()(hf_tokenizer* tokenizer) const { hf_tokenizer_free(tokenizer); }

HfTokenizer HfTokenizer::bpe(const BpeConfig& config, size_t* n_skipped_merges) {
  const auto tokens = views(config.tokens);
  const auto merges = views(config.merges);
  const auto patterns = views(config.patterns);
  hf_bpe_config c = {};
  c.tokens = tokens.data();
  c.n_tokens = tokens.size();
  c.merges = merges.data();
  c.n_merges = merges.size();
  c.patterns = patterns.data();
  c.n_patterns = patterns.size();
  c.ignore_merges = config.ignore_merges;
  c.byte_level = config.byte_level;
  char* error = nullptr;
  hf_tokenizer* tokenizer = hf_bpe_new(&c, n_skipped_merges, &error);
  if (tokenizer == nullptr) throw HfError(take(error));
  return HfTokenizer(tokenizer);
}

HfTokenizer HfTokenizer::unigram(const UnigramConfig& config) {
  const auto tokens = views(config.tokens);
  hf_unigram_config c = {};
  c.tokens = tokens.data();
  c.scores = config.scores.data();
  c.n_tokens = tokens.size();
  c.unknown = config.unknown_id;
  char* error = nullptr;
  hf_tokenizer* tokenizer = hf_unigram_new(&c, &error);
  if (tokenizer == nullptr) throw HfError(take(error));
  return HfTokenizer(tokenizer);
}

HfTokenizer HfTokenizer::bert(const BertConfig& config) {
  const auto tokens = views(config.tokens);
  hf_bert_config c = {};
  c.tokens = tokens.data();
  c.n_tokens = tokens.size();
  c.unknown = config.unknown_id;
  c.lowercase = config.lowercase;
  c.strip_accents = config.strip_accents;
  char* error = nullptr;
  hf_tokenizer* tokenizer = hf_bert_new(&c, &error);
  if (tokenizer == nullptr) throw HfError(take(error));
  return HfTokenizer(tokenizer);
}

HfTokenizer HfTokenizer::from_json(std::string_view json, bool parse_special) {
  char* error = nullptr;
  hf_tokenizer* tokenizer =
      hf_tokenizer_from_json(json.data(), json.size(), parse_special ? 1 : 0, &error);
  if (tokenizer == nullptr) throw HfError(take(error));
  return HfTokenizer(tokenizer);
}

std::vector<int32_t> HfTokenizer::encode(std::string_view text, bool add_special) const {
  uint32_t* ids = nullptr;
  size_t n_ids = 0;
  char* error = nullptr;
  if (hf_encode(tokenizer_.get(), text.data(), text.size(), add_special ? 1 : 0, &ids, &n_ids,
                &error) != 0) {
    throw HfError(take(error));
  }
  std::vector<int32_t> out(ids, ids + n_ids);
  hf_ids_free(ids, n_ids);
  return out;
}

int HfTokenizer::vocab_size() const { return static_cast<int>(hf_vocab_size(tokenizer_.get())); }

std::optional<std::string> HfTokenizer::id_to_token(int32_t id) const {
  if (id < 0) return std::nullopt;
  size_t size = 0;
  char* text = hf_id_to_token(tokenizer_.get(), static_cast<uint32_t>(id), &size);
  if (text == nullptr) return std::nullopt;
  return take(text, size);
}

bool HfTokenizer::is_special(int32_t id) const {
  return id >= 0 && hf_is_special(tokenizer_.get(), static_cast<uint32_t>(id)) != 0;
}

std::string hf_render(std::string_view source, const std::string& context) {
  size_t size = 0;
  char* error = nullptr;
  char* text = hf_render_template(source.data(), source.size(), context.data(), context.size(),
                                  &size, &error);
  if (text == nullptr) throw HfError(take(error));
  return take(text, size);
}

}  // namespace crossval
