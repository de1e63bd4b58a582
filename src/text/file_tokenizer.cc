#include "text/file_tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <mutex>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/gguf_tokenizer.h"
#include "text/hf_bridge.h"
#include "text/pieces.h"
#include "text/utf8.h"
#include "text/vocab_kinds.h"

namespace crossval {
namespace {

int32_t id_of(const ModelFile& model, std::string_view key, int32_t otherwise) {
  const int64_t id = model.get_int(key).value_or(otherwise);
  return id >= 0 && id <= INT32_MAX ? static_cast<int32_t>(id) : -1;
}

// An id that the tokenizer does not have cannot be added.
void drop_foreign_ids(VocabRules& rules, int n_vocab) {
  for (int32_t* id : {&rules.bos_id, &rules.eos_id}) {
    if (*id >= n_vocab) *id = -1;
  }
}

// The rules the GGUF states itself; where it is silent, those of its kind of vocabulary.
VocabRules rules_of(const ModelFile& model) {
  VocabRules rules;
  rules.model = model.get_string("tokenizer.ggml.model").value_or("");
  rules.pre = model.get_string("tokenizer.ggml.pre").value_or("");
  const VocabKindRow* row = find_vocab_kind(rules.model);
  const PreTokenizer* pre = rules.model == "gpt2" ? find_pre_tokenizer(rules.pre) : nullptr;
  VocabKindRow defaults = {};
  if (row != nullptr && row->kind != VocabKind::bpe) defaults = *row;
  if (pre != nullptr) defaults.add_bos = pre->add_bos;
  rules.bos_id = id_of(model, "tokenizer.ggml.bos_token_id", defaults.bos_id);
  rules.eos_id = id_of(model, defaults.eos_key, defaults.eos_id);
  rules.add_bos = defaults.add_bos;
  rules.add_eos = defaults.add_eos;
  if (defaults.flags_fixed) return rules;
  rules.add_bos = model.get_bool("tokenizer.ggml.add_bos_token").value_or(rules.add_bos);
  rules.add_eos = model.get_bool("tokenizer.ggml.add_eos_token").value_or(rules.add_eos);
  return rules;
}

[[noreturn]] void unusable(const std::string& path, const std::string& why) {
  bad_input("bad_tokenizer", fmt::format("the tokenizer file cannot be used: {}", why), path,
            "pass a tokenizer.json or a SentencePiece .model, or leave --tokenizer out to use the "
            "vocabulary inside the model");
}

[[noreturn]] void bad_text(const std::string& why) {
  bad_input("bad_text", fmt::format("the prompt cannot be tokenised: {}", why), "prompt",
            "write the prompt as valid UTF-8, or give ids with --tokens");
}

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(const std::string& path, std::string_view json, const ModelFile& model)
      : path_(path), json_(json), rules_(rules_of(model)), parsing_(load(true)) {
    n_vocab_ = parsing_.vocab_size();
    drop_foreign_ids(rules_, n_vocab_);
    // Token texts of byte-level vocabularies are written in GPT-2's alphabet.
    byte_level_ = json_.find("\"ByteLevel\"") != std::string::npos;
  }

  std::vector<int32_t> encode(const std::string& text, bool add_special,
                              bool parse_special) const override {
    if (!is_valid_utf8(text)) bad_text("it is not valid UTF-8");
    std::vector<int32_t> ids;
    if (add_special) append_bos(rules_, path_, ids);
    try {
      const auto more = (parse_special ? parsing_ : plain()).encode(text, false);
      ids.insert(ids.end(), more.begin(), more.end());
    } catch (const HfError& e) {
      bad_text(e.what());
    }
    if (add_special) append_eos(rules_, path_, ids);
    return ids;
  }

  std::string piece(int32_t id) const override {
    const auto token = parsing_.id_to_token(id);
    if (!token) return "";
    if (parsing_.is_special(id)) return *token;
    if (byte_level_) return decode_byte_level(*token);
    const int byte = byte_of_token(*token);
    return byte >= 0 ? std::string(1, static_cast<char>(byte)) : unescape_spaces(*token);
  }

  int n_vocab() const override { return n_vocab_; }
  const VocabRules& rules() const override { return rules_; }

 private:
  HfTokenizer load(bool parse_special) const {
    try {
      return HfTokenizer::from_json(json_, parse_special);
    } catch (const HfError& e) {
      unusable(path_, e.what());
    }
  }

  // The second copy, for texts whose special tokens are to stay text; seldom needed.
  const HfTokenizer& plain() const {
    std::call_once(plain_once_, [this] { plain_ = std::make_unique<HfTokenizer>(load(false)); });
    return *plain_;
  }

  std::string path_;
  std::string json_;
  VocabRules rules_;
  HfTokenizer parsing_;
  mutable std::once_flag plain_once_;
  mutable std::unique_ptr<HfTokenizer> plain_;
  int n_vocab_ = 0;
  bool byte_level_ = false;
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& path, std::string_view proto, const ModelFile& model)
      : path_(path), rules_(rules_of(model)) {
    const auto status = processor_.LoadFromSerializedProto(proto);
    if (!status.ok() || processor_.GetPieceSize() == 0) unusable(path, status.ToString());
    drop_foreign_ids(rules_, processor_.GetPieceSize());
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      if (processor_.IsControl(id)) control_.emplace_back(processor_.IdToPiece(id), id);
    }
  }

  std::vector<int32_t> encode(const std::string& text, bool add_special,
                              bool parse_special) const override {
    std::vector<int32_t> ids;
    if (add_special) append_bos(rules_, path_, ids);
    std::string_view rest = text;
    while (parse_special && !rest.empty()) {
      size_t at = std::string_view::npos;
      const std::pair<std::string, int>* found = nullptr;
      for (const auto& candidate : control_) {
        const size_t here = rest.find(candidate.first);
        const bool longer = found != nullptr && candidate.first.size() > found->first.size();
        if (here < at || (here == at && here != std::string_view::npos && longer)) {
          at = here;
          found = &candidate;
        }
      }
      if (found == nullptr) break;
      append(rest.substr(0, at), ids);
      ids.push_back(found->second);
      rest.remove_prefix(at + found->first.size());
    }
    append(rest, ids);
    if (add_special) append_eos(rules_, path_, ids);
    return ids;
  }

  std::string piece(int32_t id) const override {
    if (id < 0 || id >= processor_.GetPieceSize()) return "";
    const std::string& token = processor_.IdToPiece(id);
    if (processor_.IsControl(id) || processor_.IsUnknown(id)) return token;
    const int byte = processor_.IsByte(id) ? byte_of_token(token) : -1;
    return byte >= 0 ? std::string(1, static_cast<char>(byte)) : unescape_spaces(token);
  }

  int n_vocab() const override { return processor_.GetPieceSize(); }
  const VocabRules& rules() const override { return rules_; }

 private:
  void append(std::string_view text, std::vector<int32_t>& ids) const {
    if (text.empty()) return;
    std::vector<int> more;
    const auto status = processor_.Encode(text, &more);
    if (!status.ok()) bad_text(status.ToString());
    ids.insert(ids.end(), more.begin(), more.end());
  }

  std::string path_;
  VocabRules rules_;
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<std::pair<std::string, int>> control_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_file_tokenizer(const std::string& path, const ModelFile& model) {
  const MappedFile file(path, "tokenizer file");
  const std::string_view content(reinterpret_cast<const char*>(file.bytes().data()),
                                 file.bytes().size());
  const size_t first = content.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first != std::string_view::npos && content[first] == '{') {
    return std::make_unique<JsonTokenizer>(path, content.substr(first), model);
  }
  return std::make_unique<SentencePieceTokenizer>(path, content, model);
}

}  // namespace crossval
