#include "conversion/checkpoint_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "checkpoint/pieces.h"
#include "text/vocab_kinds.h"

namespace crossval {
namespace {

using nlohmann::json;

constexpr int64_t kMaxTokens = int64_t{1} << 22;

std::string text_of(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

const json& member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() ? *found : kNone;
}

// base.py does_token_look_special.
bool looks_special(const std::string& text) {
  const auto framed = [&](std::string_view begin, std::string_view end) {
    return text.starts_with(begin) && text.ends_with(end);
  };
  return text == "<pad>" || text == "<mask>" || text == "<2mass>" || text == "[@BOS@]" ||
         framed("<|", "|>") || framed("<\xef\xbd\x9c", "\xef\xbd\x9c>") || framed("<unused", ">");
}

// `by` is nothing that holds `what`.
std::string with_all(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    text.replace(at, what.size(), by);
  }
  return text;
}

class Builder {
 public:
  Builder(const Checkpoint& checkpoint, std::optional<VocabKind> kind)
      : checkpoint_(checkpoint),
        kind_(kind),
        tokenizer_(checkpoint.read_json("tokenizer.json")),
        settings_(checkpoint.read_json("tokenizer_config.json")) {}

  ExpectedVocabulary build();

 private:
  bool put(int64_t id, ExpectedToken token) {
    if (id < 0 || id >= kMaxTokens) return false;
    if (static_cast<size_t>(id) >= out_.tokens.size()) {
      out_.tokens.resize(static_cast<size_t>(id) + 1);
    }
    token.is_known = true;
    out_.tokens[static_cast<size_t>(id)] = std::move(token);
    return true;
  }
  void from_pieces(const std::string& model);
  void from_json();
  void put_added(int64_t id, const json& token, bool is_pieces);
  void read_merges();
  void pad();
  void read_specials();
  void read_template();
  std::optional<int64_t> added_id(const std::string& content) const;

  const Checkpoint& checkpoint_;
  std::optional<VocabKind> kind_;
  json tokenizer_, settings_;
  ExpectedVocabulary out_;
};

void Builder::put_added(int64_t id, const json& token, bool is_pieces) {
  const std::string text = text_of(token, "content");
  const bool is_control = flag_of(token, "special") || looks_special(text);
  ExpectedToken added = {.text = text};
  added.type = is_control ? kControlToken : kUserToken;
  added.other_text = is_control ? "" : with_all(text, "\xe2\x96\x81", " ");
  if (is_pieces) added.score = -1000.0f;
  put(id, std::move(added));
}

// tokenizer.model, then what later files put over it.
void Builder::from_pieces(const std::string& model) {
  const auto pieces = read_pieces(model);
  if (!pieces) return;
  out_.from = "tokenizer.model";
  for (size_t id = 0; id < pieces->size(); ++id) {
    const SentencePiece& piece = (*pieces)[id];
    // The library makes users' tokens normal ones.
    const int type = piece.type == kUserToken ? int{kNormalToken} : piece.type;
    put(static_cast<int64_t>(id),
        {.text = piece.text, .other_text = "", .type = type, .score = piece.score});
  }
  const json added = checkpoint_.read_json("added_tokens.json");
  if (added.is_object()) {
    for (const auto& [text, id] : added.items()) {
      if (!id.is_number_integer()) continue;
      put(id.get<int64_t>(),
          {.text = text, .other_text = "", .type = kUserToken, .score = -1000.0f});
    }
  }
  const json& decoder = member(settings_, "added_tokens_decoder");
  if (!decoder.is_object()) return;
  for (const auto& [number, token] : decoder.items()) {
    int64_t id = -1;
    std::from_chars(number.data(), number.data() + number.size(), id);
    put_added(id, token, true);
  }
}

void Builder::from_json() {
  const json& model = member(tokenizer_, "model");
  const json& vocab = member(model, "vocab");
  if (vocab.is_object()) {
    for (const auto& [text, id] : vocab.items()) {
      if (!id.is_number_integer()) continue;
      const bool is_byte = kind_ == VocabKind::spm && text.size() == 6 && text.starts_with("<0x") &&
                           text.ends_with(">");
      put(id.get<int64_t>(), {.text = text,
                              .other_text = "",
                              .type = is_byte ? int{kByteToken} : int{kNormalToken},
                              .score = std::nullopt});
    }
  } else if (vocab.is_array()) {
    // Unigram's: pairs of text and score. Its types are not told here.
    for (size_t id = 0; id < vocab.size(); ++id) {
      if (!vocab[id].is_array() || vocab[id].empty() || !vocab[id][0].is_string()) continue;
      put(static_cast<int64_t>(id), {.text = vocab[id][0].get<std::string>(),
                                     .other_text = "",
                                     .type = 0,
                                     .score = std::nullopt});
    }
  } else {
    return;
  }
  out_.from = "tokenizer.json";
  const json& added = member(tokenizer_, "added_tokens");
  for (size_t i = 0; added.is_array() && i < added.size(); ++i) {
    const json& id = member(added[i], "id");
    if (id.is_number_integer()) put_added(id.get<int64_t>(), added[i], false);
  }
}

void Builder::read_merges() {
  const json& merges = member(member(tokenizer_, "model"), "merges");
  if (!merges.is_array()) return;
  out_.has_merges = true;
  // Spaces inside a part are written as the byte's own sign.
  const auto part = [](const json& text) {
    return with_all(text.get<std::string>(), " ", "\xc4\xa0");
  };
  for (const json& merge : merges) {
    if (merge.is_string()) {
      out_.merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      out_.merges.push_back(part(merge[0]) + " " + part(merge[1]));
    }
  }
}

// Rows of the embedding that no token has.
void Builder::pad() {
  const json& size = member(checkpoint_.config(), "vocab_size");
  if (!size.is_number_integer() || size.get<int64_t>() < 0 || size.get<int64_t>() > kMaxTokens) {
    return;
  }
  if (out_.tokens.size() < size.get<size_t>()) out_.tokens.resize(size.get<size_t>());
  for (size_t id = 0; id < out_.tokens.size(); ++id) {
    ExpectedToken& token = out_.tokens[id];
    if (token.is_known) continue;
    token = {.is_known = true,
             .text = fmt::format("[PAD{}]", id),
             .other_text = "",
             .type = kUnusedToken,
             .score = std::nullopt};
  }
}

std::optional<int64_t> Builder::added_id(const std::string& content) const {
  const json& added = member(tokenizer_, "added_tokens");
  for (size_t i = 0; added.is_array() && i < added.size(); ++i) {
    const json& id = member(added[i], "id");
    if (text_of(added[i], "content") == content && id.is_number_integer()) {
      return id.get<int64_t>();
    }
  }
  return {};
}

void Builder::read_specials() {
  const json& end = member(checkpoint_.config(), "eod_token_id");
  if (end.is_number_integer()) out_.end_of_text = end.get<int64_t>();
  // GGUF's names: "seperator" is its own spelling.
  static constexpr std::array<std::pair<const char*, const char*>, 7> kKinds = {
      {{"bos", "bos_token_id"},
       {"eos", "eos_token_id"},
       {"unk", "unknown_token_id"},
       {"sep", "seperator_token_id"},
       {"pad", "padding_token_id"},
       {"cls", "cls_token_id"},
       {"mask", "mask_token_id"}}};
  for (const auto& [kind, key] : kKinds) {
    const json& entry = member(settings_, fmt::format("{}_token", kind).c_str());
    const std::string content =
        entry.is_string() ? entry.get<std::string>() : text_of(entry, "content");
    std::optional<int64_t> id;
    if (!content.empty()) id = added_id(content);
    const json& number = member(checkpoint_.config(), fmt::format("{}_token_id", kind).c_str());
    if (!id && number.is_number_integer()) id = number.get<int64_t>();
    if (id && *id >= 0) out_.special_ids[key] = *id;
    const std::string add = fmt::format("add_{}_token", kind);
    const json& adds = member(settings_, add.c_str());
    if (adds.is_boolean()) out_.adds[add] = adds.get<bool>();
  }
}

void Builder::read_template() {
  const auto from = [&](const json& value) {
    if (value.is_string()) out_.chat_template = value.get<std::string>();
    for (size_t i = 0; value.is_array() && i < value.size(); ++i) {
      if (text_of(value[i], "name") == "default") {
        out_.chat_template = text_of(value[i], "template");
      }
    }
  };
  from(member(settings_, "chat_template"));
  if (out_.chat_template || !settings_.is_object()) return;
  out_.chat_template = checkpoint_.read_text("chat_template.jinja");
  if (!out_.chat_template)
    from(member(checkpoint_.read_json("chat_template.json"), "chat_template"));
}

ExpectedVocabulary Builder::build() {
  const std::optional<std::string> pieces = checkpoint_.read_text("tokenizer.model");
  if (kind_ == VocabKind::spm && pieces) {
    from_pieces(*pieces);
  } else if (kind_ == VocabKind::bpe || kind_ == VocabKind::spm) {
    from_json();
    if (kind_ == VocabKind::bpe) read_merges();
  }
  if (!out_.from.empty()) pad();
  read_specials();
  read_template();
  return std::move(out_);
}

}  // namespace

ExpectedVocabulary expected_vocabulary(const Checkpoint& checkpoint, const std::string& model) {
  const VocabKindRow* row = find_vocab_kind(model);
  return Builder(checkpoint, row == nullptr ? std::nullopt : std::optional(row->kind)).build();
}

}  // namespace crossval
