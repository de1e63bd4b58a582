// Faults that change ids: the run is to end with exit code 2 before any tensor is looked at.
#include <algorithm>
#include <stdexcept>

#include "faults/fault.h"

namespace crossval::testing {
namespace {

const Expectation mismatch = {.exit_code = 2};

bool always(const ModelInfo&, const ModelEdit&) { return true; }
bool is_bpe(const ModelInfo& info, const ModelEdit&) { return info.is_bpe; }

std::vector<std::string> strings(const ModelEdit& model, const char* key) {
  const MetaValue* found = model.original().find(key);
  if (found == nullptr) throw std::runtime_error(std::string("no key ") + key);
  const auto& views = std::get<MetaValue::StringArray>(found->value);
  return {views.begin(), views.end()};
}

// A pre-tokenizer that keeps digits together changes ids only where a token has several.
bool has_digit_pairs(const ModelInfo& info, const ModelEdit& model) {
  if (!info.is_bpe) return false;
  const auto tokens = strings(model, "tokenizer.ggml.tokens");
  return std::ranges::find(tokens, std::string("12")) != tokens.end();
}

// " the" as byte-level BPE and as SentencePiece spell it.
const char* const bpe_the = "\xc4\xa0the";
const char* const spm_the = "\xe2\x96\x81the";

}  // namespace

std::span<const Fault> tokenizer_faults() {
  constexpr Group group = Group::tokenizer;
  static const Fault table[] = {
      {"pre_changed", group, true, has_digit_pairs,
       [](const FaultSite& site) {
         site.bad.metadata().set_string("tokenizer.ggml.pre", "gpt-2");
         return mismatch;
       }},
      {"add_bos", group, true, always,
       [](const FaultSite& site) {
         site.bad.metadata().set_bool("tokenizer.ggml.add_bos_token", true);
         return mismatch;
       }},
      {"merge_lost", group, false, is_bpe,
       [](const FaultSite& site) {
         auto merges = strings(site.bad, "tokenizer.ggml.merges");
         const auto it = std::ranges::find(merges, std::string("\xc4\xa0t he"));
         if (it == merges.end()) throw std::runtime_error("no merge makes ' the'");
         merges.erase(it);
         site.bad.metadata().set_string_array("tokenizer.ggml.merges", merges);
         return mismatch;
       }},
      {"token_text_changed", group, false, always,
       [](const FaultSite& site) {
         auto tokens = strings(site.bad, "tokenizer.ggml.tokens");
         const std::string the = site.info.is_bpe ? bpe_the : spm_the;
         const auto it = std::ranges::find(tokens, the);
         if (it == tokens.end()) throw std::runtime_error("no token ' the'");
         *it = the + "qq";
         site.bad.metadata().set_string_array("tokenizer.ggml.tokens", tokens);
         return mismatch;
       }},
  };
  return table;
}

}  // namespace crossval::testing
