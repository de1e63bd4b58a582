// Which rule of tokenisation explains a mismatch: a list of checks, most specific first. They look
// at ids and at the text both sides spell from the mismatch on, never at a tokenizer's inside.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "compare/tokens.h"

namespace crossval {
namespace {

// Text is compared this many ids ahead of the mismatch.
constexpr size_t kLookAhead = 64;

struct View {
  const char* name;                 // "the engine"
  std::span<const TokenId> ids;     // of the whole prompt
  std::vector<std::string> pieces;  // from the mismatch on, at most kLookAhead
  std::string text;                 // their concatenation
  bool complete = false;            // `text` reaches the end of the prompt
};

View make_view(const char* name, const TokenSide& side, size_t index) {
  View view{name, side.ids, {}, {}, index + kLookAhead >= side.ids.size()};
  for (size_t i = index; i < std::min(side.ids.size(), index + kLookAhead); ++i) {
    view.pieces.push_back(side.piece(side.ids[i]));
    view.text += view.pieces.back();
  }
  return view;
}

// Text of which more may follow.
struct KnownText {
  std::string text;
  bool is_complete;
};

// Do the texts agree as far as both are known?
bool same_text(const KnownText& a, const KnownText& b) {
  const size_t n = std::min(a.text.size(), b.text.size());
  if (a.text.compare(0, n, b.text, 0, n) != 0) return false;
  if (a.text.size() == b.text.size()) return true;
  return a.text.size() < b.text.size() ? !a.is_complete : !b.is_complete;
}

bool looks_special(std::string_view piece) {
  if (piece.size() < 3) return false;
  return (piece.front() == '<' && piece.back() == '>') ||
         (piece.front() == '[' && piece.back() == ']');
}

// A piece that is one byte of a longer character: "<0xE4>", or a lone byte above 0x7f.
bool is_byte_piece(std::string_view piece) {
  if (piece.size() == 6 && piece.substr(0, 3) == "<0x" && piece.back() == '>') return true;
  return piece.size() == 1 && static_cast<unsigned char>(piece[0]) >= 0x80;
}

bool has_non_ascii(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string without_spaces(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "\xE2\x96\x81") {  // SentencePiece's visible space
      i += 2;
    } else if (!std::isspace(static_cast<unsigned char>(text[i]))) {
      out += text[i];
    }
  }
  return out;
}

// Is a[ia..] the same ids as b[ib..], to the end of both?
bool same_rest(std::span<const TokenId> a, size_t ia, std::span<const TokenId> b, size_t ib) {
  return a.size() - ia == b.size() - ib && std::equal(a.begin() + ia, a.end(), b.begin() + ib);
}

std::optional<TokenHint> bos_hint(const View& one, const View& other, const TokenRules& rules,
                                  size_t index) {
  if (rules.bos_id < 0 || index >= one.ids.size() || one.ids[index] != rules.bos_id) return {};
  if (index == 0) {
    if (!same_rest(one.ids, 1, other.ids, 0) && !other.ids.empty() &&
        (one.ids.size() < 2 || one.ids[1] != other.ids[0])) {
      return {};
    }
    return TokenHint{"bos_missing",
                     fmt::format("{} begins with BOS and {} does not: compare add_bos_token in "
                                 "the metadata, or force one rule with --bos on|off",
                                 one.name, other.name)};
  }
  if (index != 1 || one.ids[0] != rules.bos_id) return {};
  return TokenHint{"bos_doubled",
                   fmt::format("{} has BOS twice: the template already wrote it and the tokenizer "
                               "added another; try --bos off",
                               one.name)};
}

std::optional<TokenHint> end_hint(const View& one, const View& other, const TokenRules& rules,
                                  size_t index) {
  if (index != other.ids.size() || index >= one.ids.size()) return {};
  if (rules.eos_id >= 0 && one.ids.size() == index + 1 && one.ids[index] == rules.eos_id) {
    return TokenHint{"eos", fmt::format("{} ends with EOS and {} does not: compare add_eos_token "
                                        "in the metadata",
                                        one.name, other.name)};
  }
  return TokenHint{"truncated", fmt::format("{} stops after {} ids where {} has {}: truncated?",
                                            other.name, index, one.name, one.ids.size())};
}

std::optional<TokenHint> special_hint(const View& one, const View& other) {
  if (one.pieces.empty() || other.pieces.empty()) return {};
  const std::string& piece = one.pieces[0];
  if (!looks_special(piece) || is_byte_piece(piece) || other.pieces[0] == piece) return {};
  // As text it may carry the space prefix that tokenizers put before plain text.
  const std::string_view text = other.text;
  const bool spelled =
      text.starts_with(piece) || (text.starts_with(" ") && text.substr(1).starts_with(piece));
  if (!spelled || other.pieces[0].size() >= piece.size()) return {};
  return TokenHint{"special_as_text",
                   fmt::format("'{}' is one special token for {} and plain text for {}: see "
                               "--special parse|text and the token's type in the vocabulary",
                               piece, one.name, other.name)};
}

std::optional<TokenHint> byte_hint(const View& one, const View& other) {
  if (one.pieces.empty() || other.pieces.empty()) return {};
  if (one.pieces[0] == "<unk>" && other.pieces[0] != "<unk>") {
    return TokenHint{"byte_fallback", fmt::format("{} has no piece for this text and wrote <unk>: "
                                                  "byte fallback is off there",
                                                  one.name)};
  }
  if (is_byte_piece(one.pieces[0]) && !is_byte_piece(other.pieces[0]) &&
      has_non_ascii(other.pieces[0])) {
    return TokenHint{"byte_fallback",
                     fmt::format("{} spells a character byte by byte that {} has as a piece: "
                                 "byte fallback before the vocabulary or the merges were tried",
                                 one.name, other.name)};
  }
  return {};
}

std::optional<TokenHint> space_hint(const View& one, const View& other) {
  for (const std::string_view space : {" ", "\xE2\x96\x81"}) {
    if (!one.text.starts_with(space) || other.text.starts_with(space)) continue;
    if (same_text({one.text.substr(space.size()), one.complete}, {other.text, other.complete})) {
      return TokenHint{"space_prefix",
                       fmt::format("{} puts a space before this text and {} does not: "
                                   "add_space_prefix, also after special tokens",
                                   one.name, other.name)};
    }
  }
  return {};
}

TokenHint text_hint(const View& engine, const View& backend) {
  if (engine.text.empty() && backend.text.empty()) {
    return {"ids_alone", "the text of these ids is not known here; --model FILE has it"};
  }
  if (same_text({engine.text, engine.complete}, {backend.text, backend.complete})) {
    if (engine.pieces[0] == backend.pieces[0]) {
      return {"vocabulary",
              "the same text has different ids: the vocabularies differ in order or "
              "hold the piece twice"};
    }
    return {"pre_tokenizer",
            "the same text is cut differently: the pre-tokenizer "
            "(tokenizer.ggml.pre) or the merges differ"};
  }
  if (same_text({lower_ascii(engine.text), engine.complete},
                {lower_ascii(backend.text), backend.complete})) {
    return {"normalization", "the texts differ in case: one side normalises to lower case"};
  }
  if (same_text({without_spaces(engine.text), engine.complete},
                {without_spaces(backend.text), backend.complete})) {
    return {"whitespace",
            "the texts differ in white space alone: one side strips, adds or merges "
            "spaces"};
  }
  const size_t n = std::min(engine.text.size(), backend.text.size());
  const auto part =
      std::mismatch(engine.text.begin(), engine.text.begin() + n, backend.text.begin());
  const auto at = static_cast<size_t>(part.first - engine.text.begin());
  if (has_non_ascii(engine.text.substr(at, 4)) || has_non_ascii(backend.text.substr(at, 4))) {
    return {"normalization",
            "the texts differ in a character beyond ASCII: one side normalises "
            "Unicode (NFC, NFKC) or replaces what it cannot decode"};
  }
  return {"text",
          "the two sides spell different text: not the same prompt, template or system "
          "prompt"};
}

}  // namespace

TokenHint explain_mismatch(const TokenSide& engine_side, const TokenSide& backend_side,
                           const TokenRules& rules, size_t index) {
  const View engine = make_view("the engine", engine_side, index);
  const View backend = make_view("the backend", backend_side, index);
  const auto either = [&](auto check) -> std::optional<TokenHint> {
    if (auto hint = check(engine, backend)) return hint;
    return check(backend, engine);
  };
  if (auto hint = either([&](auto& a, auto& b) { return bos_hint(a, b, rules, index); })) {
    return *hint;
  }
  if (auto hint = either([&](auto& a, auto& b) { return end_hint(a, b, rules, index); })) {
    return *hint;
  }
  if (auto hint = either([](auto& a, auto& b) { return special_hint(a, b); })) return *hint;
  if (auto hint = either([](auto& a, auto& b) { return byte_hint(a, b); })) return *hint;
  if (auto hint = either([](auto& a, auto& b) { return space_hint(a, b); })) return *hint;
  return text_hint(engine, backend);
}

}  // namespace crossval
