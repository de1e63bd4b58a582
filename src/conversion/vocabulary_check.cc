#include "conversion/vocabulary_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "base/printable.h"
#include "conversion/checkpoint_vocabulary.h"
#include "conversion/fault_list.h"

namespace crossval {
namespace {

template <typename T>
const T* list_of(const ModelFile& model, const char* key) {
  const MetaValue* value = model.find(key);
  return value == nullptr ? nullptr : std::get_if<T>(&value->value);
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 60;
  return fmt::format("'{}'", printable(std::string(text.substr(0, kLongest))));
}

bool is_text(const ExpectedToken& token, std::string_view actual) {
  return token.text == actual || (!token.other_text.empty() && token.other_text == actual);
}

const char* type_name_of(int64_t type) {
  constexpr const char* kNames[] = {"none",   "normal", "unknown", "control",
                                    "user's", "unused", "byte"};
  return type >= 0 && type <= 6 ? kNames[type] : "no type";
}

// Where one list has an element that the other lacks; what follows fits again for some steps.
template <typename Same>
bool fits_shifted(size_t n, const Same& same) {
  for (size_t i = 0; i < n; ++i) {
    if (!same(i)) return false;
  }
  return n > 0;
}

void check_texts(const MetaValue::StringArray& tokens, const ExpectedVocabulary& expected,
                 ConversionReport& report) {
  FaultList faults(report.faults, report.tokens);
  const std::vector<ExpectedToken>& want = expected.tokens;
  const size_t n = std::min(tokens.size(), want.size());
  // Converters may pad further, to a multiple of something.
  const auto is_padding = [&](size_t id) { return tokens[id].starts_with("[PAD"); };
  bool is_longer = tokens.size() < want.size();
  for (size_t id = n; id < tokens.size(); ++id) is_longer = is_longer || !is_padding(id);
  faults.compared(static_cast<int64_t>(n));
  for (size_t id = 0; id < n; ++id) {
    if (!want[id].is_known || is_text(want[id], tokens[id])) continue;
    const size_t rest = std::min<size_t>(8, n - id - 1);
    ConversionFault fault = {.kind = "token",
                             .where = fmt::format("token {}", id),
                             .source = expected.from,
                             .cause = "token's text wrong",
                             .expected = in_quotes(want[id].text),
                             .actual = in_quotes(tokens[id]),
                             .explanation = ""};
    const bool is_dropped =
        fits_shifted(rest, [&](size_t i) { return is_text(want[id + 1 + i], tokens[id + i]); });
    const bool is_inserted =
        fits_shifted(rest, [&](size_t i) { return is_text(want[id + i], tokens[id + 1 + i]); });
    if (is_dropped || is_inserted) {
      fault.cause = is_dropped ? "a token was dropped: all after it have the number before theirs"
                               : "a token was put in: all after it have the number after theirs";
      faults.add(std::move(fault));
      return;
    }
    if (id + 1 < n && is_text(want[id], tokens[id + 1]) && is_text(want[id + 1], tokens[id])) {
      fault.cause = fmt::format("tokens {} and {} were exchanged", id, id + 1);
    }
    fault.explanation =
        fmt::format("it is {}, {} has {}", fault.actual, expected.from, fault.expected);
    faults.add(std::move(fault));
  }
  if (!is_longer) return;
  faults.add({.kind = "token",
              .where = "number of tokens",
              .source = expected.from,
              .cause = tokens.size() < want.size() ? "tokens are missing at the end"
                                                   : "there are tokens more",
              .expected = fmt::format("{}", want.size()),
              .actual = fmt::format("{}", tokens.size()),
              .explanation = ""});
}

void check_types(const std::vector<int64_t>& types, const ExpectedVocabulary& expected,
                 ConversionReport& report) {
  FaultList faults(report.faults, report.tokens);
  const size_t n = std::min(types.size(), expected.tokens.size());
  for (size_t id = 0; id < n; ++id) {
    const ExpectedToken& want = expected.tokens[id];
    if (!want.is_known || want.type == 0 || want.type == types[id]) continue;
    faults.add({.kind = "token",
                .where = fmt::format("type of token {} {}", id, in_quotes(want.text)),
                .source = expected.from,
                .cause = "token's type wrong",
                .expected = type_name_of(want.type),
                .actual = type_name_of(types[id]),
                .explanation = fmt::format("it is {}, {} makes it {}", type_name_of(types[id]),
                                           expected.from, type_name_of(want.type))});
  }
}

void check_scores(const std::vector<double>& scores, const ExpectedVocabulary& expected,
                  ConversionReport& report) {
  FaultList faults(report.faults, report.tokens);
  const size_t n = std::min(scores.size(), expected.tokens.size());
  for (size_t id = 0; id < n; ++id) {
    const ExpectedToken& want = expected.tokens[id];
    if (!want.score || static_cast<float>(scores[id]) == *want.score) continue;
    faults.add({.kind = "token",
                .where = fmt::format("score of token {} {}", id, in_quotes(want.text)),
                .source = expected.from,
                .cause = "token's score wrong",
                .expected = fmt::format("{}", *want.score),
                .actual = fmt::format("{}", scores[id]),
                .explanation = ""});
  }
}

void check_merges(const ModelFile& model, const ExpectedVocabulary& expected,
                  ConversionReport& report) {
  if (!expected.has_merges) return;
  FaultList faults(report.faults, report.merges);
  const auto* held = list_of<MetaValue::StringArray>(model, "tokenizer.ggml.merges");
  const MetaValue::StringArray none;
  const MetaValue::StringArray& merges = held == nullptr ? none : *held;
  const std::vector<std::string>& want = expected.merges;
  const size_t n = std::min(merges.size(), want.size());
  faults.compared(static_cast<int64_t>(want.size()));
  const auto first = [&] {
    size_t i = 0;
    while (i < n && merges[i] == want[i]) ++i;
    return i;
  }();
  if (first == want.size() && first == merges.size()) return;
  ConversionFault fault = {.kind = "merge",
                           .where = fmt::format("merge {}", first),
                           .source = expected.from,
                           .cause = "merges differ",
                           .expected = first < want.size() ? in_quotes(want[first]) : "none",
                           .actual = first < merges.size() ? in_quotes(merges[first]) : "none",
                           .explanation = ""};
  const auto equal = [&](size_t a, size_t b) {
    return merges.size() - a == want.size() - b &&
           std::equal(merges.begin() + static_cast<ptrdiff_t>(a), merges.end(),
                      want.begin() + static_cast<ptrdiff_t>(b));
  };
  if (first < want.size() && equal(first, first + 1)) {
    fault.cause = "the merge was dropped";
  } else if (first < merges.size() && equal(first + 1, first)) {
    fault.cause = "a merge was put in";
  } else if (first + 1 < n && merges[first] == want[first + 1] &&
             merges[first + 1] == want[first]) {
    fault.cause = fmt::format("merges {} and {} were exchanged", first, first + 1);
  } else if (first < n && equal(first + 1, first + 1)) {
    fault.cause = "the merge was altered";
  }
  fault.explanation = fmt::format("it is {}, {} has {}; {} merges of {}", fault.actual,
                                  expected.from, fault.expected, merges.size(), want.size());
  faults.add(std::move(fault));
}

void check_specials(const ModelFile& model, const ExpectedVocabulary& expected,
                    ConversionReport& report) {
  FaultList faults(report.faults, report.specials);
  const auto differ = [&](const std::string& key, std::string want, std::string actual) {
    faults.add({.kind = "special",
                .where = key,
                .source = "tokenizer_config.json, config.json",
                .cause = "key wrong",
                .expected = want,
                .actual = actual,
                .explanation = fmt::format("it is {}, the checkpoint makes it {}", actual, want)});
  };
  for (const auto& [name, id] : expected.special_ids) {
    const std::string key = "tokenizer.ggml." + name;
    const auto actual = model.get_int(key);
    faults.compared();
    const bool is_end_of_text = name == "eos_token_id" && actual == expected.end_of_text;
    if (actual && *actual != id && !is_end_of_text)
      differ(key, fmt::format("{}", id), fmt::format("{}", *actual));
    if (!actual) differ(key, fmt::format("{}", id), "none");
  }
  for (const auto& [name, adds] : expected.adds) {
    const std::string key = "tokenizer.ggml." + name;
    const auto actual = model.get_bool(key);
    faults.compared();
    if (actual && *actual != adds) differ(key, fmt::format("{}", adds), fmt::format("{}", *actual));
  }
}

void check_template(const ModelFile& model, const ExpectedVocabulary& expected,
                    ConversionReport& report) {
  const auto actual = model.get_string("tokenizer.chat_template");
  if (!actual && !expected.chat_template) return;
  FaultList faults(report.faults, report.templates);
  faults.compared();
  if (actual && expected.chat_template && *actual == *expected.chat_template) return;
  ConversionFault fault = {.kind = "template",
                           .where = "tokenizer.chat_template",
                           .source = "the checkpoint's chat template",
                           .cause = "template altered",
                           .expected = "",
                           .actual = "",
                           .explanation = ""};
  if (!actual || !expected.chat_template) {
    fault.cause = actual ? "the checkpoint has no template" : "the template was dropped";
    fault.expected = expected.chat_template ? "a template" : "none";
    fault.actual = actual ? "a template" : "none";
    faults.add(std::move(fault));
    return;
  }
  const std::string& want = *expected.chat_template;
  const size_t at = static_cast<size_t>(std::ranges::mismatch(*actual, want).in1 - actual->begin());
  const size_t from = at < 20 ? 0 : at - 20;
  fault.expected = in_quotes(std::string_view(want).substr(std::min(from, want.size()), 40));
  fault.actual = in_quotes(std::string_view(*actual).substr(std::min(from, actual->size()), 40));
  fault.explanation = fmt::format("the first character that differs is number {}: {} instead of {}",
                                  at, fault.actual, fault.expected);
  faults.add(std::move(fault));
}

}  // namespace

void check_vocabulary(const ModelFile& model, const Checkpoint& checkpoint, int padding_id,
                      ConversionReport& report) {
  const std::string kind = model.get_string("tokenizer.ggml.model").value_or("");
  ExpectedVocabulary expected = expected_vocabulary(checkpoint, kind);
  if (padding_id >= 0) expected.special_ids["padding_token_id"] = padding_id;
  const auto* tokens = list_of<MetaValue::StringArray>(model, "tokenizer.ggml.tokens");
  if (expected.from.empty() || tokens == nullptr) {
    report.not_compared.push_back(fmt::format(
        "the vocabulary: no tokenizer file of the folder is read for '{}'", printable(kind)));
  } else {
    check_texts(*tokens, expected, report);
    const bool is_shifted = report.tokens.differing > 0;
    const auto* types = list_of<std::vector<int64_t>>(model, "tokenizer.ggml.token_type");
    if (types != nullptr && !is_shifted) check_types(*types, expected, report);
    const auto* scores = list_of<std::vector<double>>(model, "tokenizer.ggml.scores");
    if (scores != nullptr && !is_shifted) check_scores(*scores, expected, report);
    check_merges(model, expected, report);
  }
  check_specials(model, expected, report);
  check_template(model, expected, report);
}

}  // namespace crossval
