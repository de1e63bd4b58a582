#include "text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/printable.h"

namespace crossval {
namespace {

constexpr const char* kConvertAgain = "convert the model again with a current converter";

std::string where(const ModelFile& model, std::string_view key) {
  return fmt::format("{}: metadata key '{}'", model.path(), key);
}

std::span<const std::string_view> string_array(const ModelFile& model, std::string_view key) {
  const MetaValue* value = model.find(key);
  if (value == nullptr) {
    bad_input("missing_vocabulary", "the model has no vocabulary of this kind", where(model, key),
              "pass --tokenizer FILE (tokenizer.json or .model), or give ids with --tokens");
  }
  const auto* strings = std::get_if<MetaValue::StringArray>(&value->value);
  if (strings == nullptr) {
    bad_input("wrong_metadata_type", "the value is not an array of strings", where(model, key),
              kConvertAgain);
  }
  return *strings;
}

// The array as numbers, at least `n` of them; nullopt when the key is absent.
std::optional<std::vector<double>> number_array(const ModelFile& model, std::string_view key,
                                                size_t n) {
  const MetaValue* value = model.find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<double> out;
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&value->value)) {
    out.assign(ints->begin(), ints->end());
  } else if (const auto* floats = std::get_if<std::vector<double>>(&value->value)) {
    out = *floats;
  } else {
    bad_input("wrong_metadata_type", "the value is not an array of numbers", where(model, key),
              kConvertAgain);
  }
  if (out.size() < n) {
    bad_input("damaged_file", fmt::format("{} entries for {} tokens", out.size(), n),
              where(model, key), kConvertAgain);
  }
  return out;
}

// tokenizer.ggml.token_type -> TokenAttr (include/llama.h, enum llama_token_type).
uint32_t attr_of_type(double type) {
  constexpr std::array<uint32_t, 7> attrs = {
      0, kTokenNormal, kTokenUnknown, kTokenControl, kTokenUserDefined, kTokenUnused, kTokenByte};
  return type >= 1 && type <= 6 ? attrs[static_cast<size_t>(type)] : 0;
}

void read_tokens(const ModelFile& model, Vocabulary& v) {
  const auto tokens = string_array(model, "tokenizer.ggml.tokens");
  v.tokens.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    // llama.cpp gives an empty token a name that no text has by chance.
    v.tokens.push_back(tokens[id].empty() ? fmt::format("[EMPTY_{}]", id)
                                          : std::string(tokens[id]));
  }
  v.ids.reserve(v.tokens.size());
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    const auto [it, inserted] = v.ids.emplace(v.tokens[id], static_cast<int32_t>(id));
    if (!inserted) {
      bad_input("duplicate_token",
                fmt::format("ids {} and {} are the same token '{}'", it->second, id,
                            printable(v.tokens[id])),
                where(model, "tokenizer.ggml.tokens"), kConvertAgain);
    }
  }
  v.attrs.assign(v.tokens.size(), kTokenNormal);
  if (const auto types = number_array(model, "tokenizer.ggml.token_type", v.tokens.size())) {
    for (size_t id = 0; id < v.tokens.size(); ++id) v.attrs[id] = attr_of_type((*types)[id]);
  }
  if (v.kind != VocabKind::spm && v.kind != VocabKind::unigram && v.kind != VocabKind::plamo2) {
    return;
  }
  v.scores.assign(v.tokens.size(), 0.0f);
  if (const auto scores = number_array(model, "tokenizer.ggml.scores", v.tokens.size())) {
    for (size_t id = 0; id < v.tokens.size(); ++id) {
      v.scores[id] = static_cast<float>((*scores)[id]);
      if (std::isnan(v.scores[id])) {
        bad_input("damaged_file", fmt::format("the score of token {} is NaN", id),
                  where(model, "tokenizer.ggml.scores"), kConvertAgain);
      }
    }
  }
}

// An id from the metadata; out of range keeps the default, as llama.cpp does (with a warning).
int32_t special_id(const ModelFile& model, Vocabulary& v, const std::string& key, int32_t id) {
  const auto n = static_cast<int64_t>(v.tokens.size());
  if (id >= n) id = -1;
  const auto stored = model.get_int(key);
  if (!stored) return id;
  if (*stored >= 0 && *stored < n) return static_cast<int32_t>(*stored);
  v.warnings.push_back(fmt::format("{} = {} is no id of this vocabulary, ignored", key, *stored));
  return id;
}

using Names = std::span<const std::string_view>;

constexpr std::string_view kEotNames[] = {
    "<|eot_id|>",        "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>",   "<EOT>",      "_<EOT>",  "[EOT]",         "<｜end▁of▁sentence｜>",
    "<end_of_utterance>"};
constexpr std::string_view kEomNames[] = {"<|eom_id|>"};
constexpr std::string_view kFimPrefix[] = {"<|fim_prefix|>",  "<fim-prefix>", "<fim_prefix>",
                                           "<｜fim▁begin｜>", "<PRE>",        "▁<PRE>",
                                           "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view kFimSuffix[] = {"<|fim_suffix|>",  "<fim-suffix>", "<fim_suffix>",
                                           "<｜fim▁hole｜>",  "<SUF>",        "▁<SUF>",
                                           "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view kFimMiddle[] = {"<|fim_middle|>",  "<fim-middle>", "<fim_middle>",
                                           "<｜fim▁end｜>",   "<MID>",        "▁<MID>",
                                           "<|code_middle|>", "<|middle|>"};
constexpr std::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFimRepo[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
                                         "<reponame>"};
constexpr std::string_view kFimSep[] = {"<|file_sep|>"};
constexpr std::string_view kEogNames[] = {"<|eot_id|>",
                                          "<|im_end|>",
                                          "<|end|>",
                                          "<|return|>",
                                          "<|call|>",
                                          "<|flush|>",
                                          "<|calls|>",
                                          "<end_of_turn>",
                                          "<|endoftext|>",
                                          "</s>",
                                          "<|eom_id|>",
                                          "<EOT>",
                                          "_<EOT>",
                                          "[EOT]",
                                          "[EOS]",
                                          "<|end_of_text|>",
                                          "<end_of_utterance>",
                                          "<eos>",
                                          "<turn|>",
                                          "<|tool_response>",
                                          "<｜end▁of▁sentence｜>",
                                          "[e~["};
constexpr std::string_view kAlwaysShown[] = {"<|channel|>", "<|message|>", "<|start|>",
                                             "<|constrain|>"};

// A role that the metadata leaves open goes to the first token (lowest id) with such a name, which
// then counts as control whatever its type says. llama.cpp takes "first" from a hash table; only
// one candidate is the rule.
void name_role(const ModelFile& model, Vocabulary& v, std::initializer_list<const char*> keys,
               Names names) {
  int32_t id = -1;
  for (const char* key : keys) id = special_id(model, v, key, id);
  if (id >= 0) return;
  for (const std::string_view name : names) {
    const int32_t candidate = v.find(name);
    if (candidate >= 0 && (id < 0 || candidate < id)) id = candidate;
  }
  if (id >= 0) v.attrs[static_cast<size_t>(id)] |= kTokenControl;
}

// Tokens that act as special because of their names (llama_vocab::impl::load, "auto-detect").
void apply_names(const ModelFile& model, Vocabulary& v) {
  name_role(model, v, {"tokenizer.ggml.eot_token_id"}, kEotNames);
  name_role(model, v, {"tokenizer.ggml.eom_token_id"}, kEomNames);
  name_role(model, v, {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
            kFimPrefix);
  name_role(model, v, {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
            kFimSuffix);
  name_role(model, v, {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
            kFimMiddle);
  name_role(model, v, {"tokenizer.ggml.fim_pad_token_id"}, kFimPad);
  name_role(model, v, {"tokenizer.ggml.fim_rep_token_id"}, kFimRepo);
  name_role(model, v, {"tokenizer.ggml.fim_sep_token_id"}, kFimSep);
  for (const std::string_view name : kEogNames) {
    if (const int32_t id = v.find(name); id >= 0) v.attrs[static_cast<size_t>(id)] |= kTokenControl;
  }
  for (const std::string_view name : kAlwaysShown) {
    if (const int32_t id = v.find(name); id >= 0) {
      v.attrs[static_cast<size_t>(id)] = kTokenUserDefined;
    }
  }
  const auto has = [&](std::string_view name) { return v.find(name) >= 0; };
  const bool has_call = has("<|call|>") || has("<|calls|>");
  if (has("<|end|>") && has_call && (has("<|return|>") || has("<|flush|>"))) {
    v.attrs[static_cast<size_t>(v.find("<|end|>"))] = kTokenUserDefined;
  }
  if (has("<|tool_response>") && has("</s>")) {
    v.attrs[static_cast<size_t>(v.find("</s>"))] = kTokenNormal;
  }
}

void collect_special(Vocabulary& v) {
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.attrs[id] & (kTokenControl | kTokenUserDefined | kTokenUnknown)) {
      v.special.push_back(static_cast<int32_t>(id));
    }
  }
  // Not stable on purpose: the same call on the same data as in llama.cpp, so that tokens of one
  // length come in the same order where they overlap in a text.
  std::sort(v.special.begin(), v.special.end(), [&](int32_t a, int32_t b) {
    return v.tokens[static_cast<size_t>(a)].size() > v.tokens[static_cast<size_t>(b)].size();
  });
}

// Whitespace that some models' special tokens swallow; a GGUF does not store it, so it goes by name
// (llama_vocab::impl::load, "Handle per token attributes").
void apply_strips(const ModelFile& model, Vocabulary& v) {
  const std::string pre = model.get_string("tokenizer.ggml.pre").value_or("");
  const std::string arch = model.get_string("general.architecture").value_or("");
  std::string name = model.get_string("general.name").value_or("");
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto contains = [](const std::string& text, std::initializer_list<const char*> parts) {
    return std::ranges::any_of(
        parts, [&](const char* part) { return text.find(part) != std::string::npos; });
  };
  const auto set = [&](std::string_view token, uint32_t attr, bool value) {
    const int32_t id = v.find(token);
    if (id < 0) return;
    uint32_t& attrs = v.attrs[static_cast<size_t>(id)];
    attrs = value ? (attrs | attr) : (attrs & ~attr);
  };
  if (contains(pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
      contains(arch, {"nomic-bert-moe", "jina-bert-v3"})) {
    set("<mask>", kTokenLeftStrip, true);
  } else if (contains(name, {"phi-3", "phi3"})) {
    for (const int32_t id : v.special) v.attrs[static_cast<size_t>(id)] |= kTokenRightStrip;
    set("</s>", kTokenRightStrip, true);
    for (const char* token : {"<unk>", "<s>", "<|endoftext|>"}) set(token, kTokenRightStrip, false);
  } else if (contains(name, {"modern-bert"})) {
    set("[MASK]", kTokenLeftStrip, true);
  }
}

void read_bpe(const ModelFile& model, Vocabulary& v) {
  if (v.rules.model == "gemma4") v.rules.pre = "gemma4";
  v.pre = find_pre_tokenizer(v.rules.pre);
  if (v.pre == nullptr) {
    bad_input("unknown_pre_tokenizer",
              fmt::format("pre-tokenizer '{}' is not known", printable(v.rules.pre)),
              where(model, "tokenizer.ggml.pre"),
              "pass --tokenizer tokenizer.json of the original model; known names: " +
                  pre_tokenizer_names());
  }
  if (v.rules.pre.empty()) {
    v.warnings.push_back(
        "the model does not name its pre-tokenizer (tokenizer.ggml.pre); llama.cpp's default is "
        "used, which splits many texts otherwise than the original tokenizer");
  }
  if (v.pre->no_bos) v.rules.bos_id = -1;
  v.rules.add_bos = v.pre->add_bos;
  const auto merges = string_array(model, "tokenizer.ggml.merges");
  v.merges.assign(merges.begin(), merges.end());
}

void read_unigram(const ModelFile& model, Vocabulary& v) {
  v.remove_extra_spaces = model.get_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  const MetaValue* value = model.find("tokenizer.ggml.precompiled_charsmap");
  if (value == nullptr) return;
  const auto* bytes = std::get_if<std::vector<int64_t>>(&value->value);
  // As stored: int8 (0 = uint8, 1 = int8 in gguf.h, enum gguf_type).
  if (bytes == nullptr || value->element_type > 1) {
    bad_input("wrong_metadata_type", "the value is not an array of bytes",
              where(model, "tokenizer.ggml.precompiled_charsmap"), kConvertAgain);
  }
  v.charsmap.reserve(bytes->size());
  for (const int64_t byte : *bytes) v.charsmap.push_back(static_cast<char>(byte));
}

void read_wordpiece(const ModelFile& model, Vocabulary& v) {
  v.lowercase = model.get_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
  v.strip_accents = model.get_bool("tokenizer.ggml.normalizer.strip_accents").value_or(v.lowercase);
}

}  // namespace

int32_t Vocabulary::find(std::string_view token) const {
  const auto it = ids.find(token);
  return it == ids.end() ? -1 : it->second;
}

Vocabulary read_vocabulary(const ModelFile& model) {
  Vocabulary v;
  const auto kind = model.get_string("tokenizer.ggml.model");
  if (!kind) {
    bad_input("missing_vocabulary", "the model has no tokenizer inside",
              where(model, "tokenizer.ggml.model"),
              "pass --tokenizer FILE (tokenizer.json or .model), or give ids with --tokens");
  }
  v.rules.model = *kind;
  v.rules.pre = model.get_string("tokenizer.ggml.pre").value_or("");
  const VocabKindRow* row = find_vocab_kind(*kind);
  if (row == nullptr) {
    bad_input("unsupported_vocabulary",
              fmt::format("vocabularies of kind '{}' are not supported (known: {})",
                          printable(*kind), vocab_kind_names()),
              where(model, "tokenizer.ggml.model"),
              "pass --tokenizer tokenizer.json of the original model, or give ids with --tokens");
  }
  v.kind = row->kind;
  v.rules.bos_id = row->bos_id;
  v.rules.eos_id = row->eos_id;
  v.rules.add_bos = row->add_bos;
  v.rules.add_eos = row->add_eos;
  v.unknown_id = row->unknown_id;
  v.add_space_prefix = row->add_space_prefix;
  if (v.kind == VocabKind::bpe) read_bpe(model, v);
  if (v.kind == VocabKind::unigram) read_unigram(model, v);
  if (v.kind == VocabKind::wordpiece) read_wordpiece(model, v);
  v.add_space_prefix =
      model.get_bool("tokenizer.ggml.add_space_prefix").value_or(v.add_space_prefix);
  read_tokens(model, v);
  v.rules.bos_id = special_id(model, v, "tokenizer.ggml.bos_token_id", v.rules.bos_id);
  v.rules.eos_id = special_id(model, v, std::string(row->eos_key), v.rules.eos_id);
  v.unknown_id = special_id(model, v, "tokenizer.ggml.unknown_token_id", v.unknown_id);
  if (!row->flags_fixed) {
    v.rules.add_bos = model.get_bool("tokenizer.ggml.add_bos_token").value_or(v.rules.add_bos);
    v.rules.add_eos = model.get_bool("tokenizer.ggml.add_eos_token").value_or(v.rules.add_eos);
  }
  if (v.pre != nullptr && v.pre->family == "gemma4" && !v.rules.add_bos) {
    v.rules.add_bos = true;  // llama.cpp overrides the key for this family
    v.warnings.push_back("tokenizer.ggml.add_bos_token = false is ignored for gemma4");
  }
  apply_names(model, v);
  collect_special(v);
  apply_strips(model, v);
  return v;
}

}  // namespace crossval
