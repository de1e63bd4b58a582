// The expressions are those of each family's published tokenizer.json; which names share a family,
// and the flags beside them, are llama.cpp's (src/llama-vocab.cpp, llama_vocab::impl::load and
// llm_tokenizer_bpe). Contractions are spelled out ('[sS]) where the original says (?i:...): the
// two differ only on the long s, U+017F.

#include "text/pre_tokenizers.h"

#include <algorithm>
#include <array>

namespace crossval {
namespace {

using Patterns = std::span<const std::string_view>;

// openai-community/gpt2
constexpr std::string_view kGpt2[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};
// HuggingFaceTB/SmolLM2-135M, bigcode/starcoder, CohereForAI/c4ai-command-r: Digits, then GPT-2
constexpr std::string_view kDigitsGpt2[] = {R"(\p{N})", kGpt2[0]};
// llama.cpp's own default (no published model)
constexpr std::string_view kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2[0], R"(\p{N}+)",
                                         R"([0-9][0-9][0-9])"};
// meta-llama/Meta-Llama-3-8B
constexpr std::string_view kLlama3[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// inceptionai/Jais-2
constexpr std::string_view kJais2[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"};
// Qwen/Qwen2-7B, stabilityai/stablelm-2-12b
constexpr std::string_view kQwen2[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// Qwen/Qwen3.5
constexpr std::string_view kQwen35[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr std::string_view kLaguna[] = {R"([^\n]+|[\n]+)", kQwen2[0]};
// openbmb/MiniCPM5-1B
constexpr std::string_view kMiniCpm5[] = {
    R"(\p{N}{1,3})",
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// deepseek-ai/deepseek-llm-7b-base
constexpr std::string_view kDeepseekLlm[] = {
    "[\r\n]",
    "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-"
    "\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1"
    "\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD"
    "\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D"
    "\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-"
    "\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4"
    "\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D"
    "\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E"
    "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F"
    "\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943]+",
    "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+",
    "\\s+$",
    "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
    "\\p{N}+"};
// deepseek-ai/deepseek-coder-6.7b-base
constexpr std::string_view kDeepseekCoder[] = {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                               "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+",
                                               R"(\p{N})"};
// deepseek-ai/DeepSeek-V3
constexpr std::string_view kDeepseek3[] = {
    R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re"};
// XunfeiSpark 2.5
constexpr std::string_view kSpark25[] = {
    R"(\p{N}{1,3})", "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)re",
    R"(\p{N})"};
// tiiuae/falcon-7b: Punctuation, ByteLevel, three digits
constexpr std::string_view kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2[0], R"([0-9][0-9][0-9])"};
// bigscience/bloom, LumiOpen/Poro-34B, TurkuNLP/gpt3-finnish
constexpr std::string_view kBloom[] = {
    " ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+"};
// LumiOpen/Viking-7B
constexpr std::string_view kViking[] = {kBloom[0], R"(\p{N})"};
// mistralai/Mistral-Nemo-Base-2407
constexpr std::string_view kTekken[] = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// openai o200k (gpt-4o), as in openai/gpt-oss-20b and meta-llama/Llama-4
constexpr std::string_view kGpt4o[] = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// CohereLabs/tiny-aya
constexpr std::string_view kTinyAya[] = {R"(\d{1,3}(?=(?:\d{3})*\b))", kGpt4o[0]};
// tencent/Youtu-LLM
constexpr std::string_view kYoutu[] = {
    "[\uAC00-\uD7A3\u3131-\u318E]+|"
    "[\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C\u3001-\u303F\uFE30-\uFE4F]+|"
    "[\u3105-\u312F]+|[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// facebook/chameleon-7b
constexpr std::string_view kChameleon[] = {
    R"(<sentinel:[0-9]+>)",    R"((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)",
    R"(([\t\n]|    |  ))",     R"(\p{N})",
    R"([\p{P}!-/:-@\[-`{-~])", kGpt2[0]};
// moonshotai/Kimi-K2-Instruct (tokenization_kimi.py)
constexpr std::string_view kKimiK2[] = {
    R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// UW/OLMo2-8B-SuperBPE
constexpr std::string_view kSuperBpe[] = {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"};
// inclusionAI/Ling-lite
constexpr std::string_view kBailingMoe[] = {
    R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
// ByteDance-Seed/Seed-Coder-8B-Base
constexpr std::string_view kSeedCoder[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// Qwen2's without contractions, for Turkish suffixes
constexpr std::string_view kUfakzeka[] = {
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// LGAI-EXAONE/K-EXAONE
constexpr std::string_view kExaoneMoe[] = {
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"};
// google/gemma-4, sarvamai/sarvam-moe: SentencePiece-like BPE on lines
constexpr std::string_view kNewlineRuns[] = {R"([^\n]+|[\n]+)"};

constexpr std::string_view kCaseNote =
    "llama.cpp's expression for this pre-tokenizer knows upper and lower case in ASCII only and "
    "leaves combining marks out; the published one (used here) follows Unicode";
constexpr std::string_view kCollapsedNote =
    "llama.cpp reads \\p{Lu}, \\p{Ll}, ... in this expression as any letter; the published one "
    "(used here) follows Unicode";

constexpr PreTokenizer kFamilies[] = {
    {.family = "default", .patterns = kDefault},
    {.family = "gpt-2", .patterns = kGpt2},
    {.family = "smollm", .patterns = kDigitsGpt2},
    {.family = "llama3", .patterns = kLlama3, .ignore_merges = true, .add_bos = true},
    {.family = "dbrx", .patterns = kLlama3},
    {.family = "jais-2", .patterns = kJais2},
    {.family = "qwen2", .patterns = kQwen2},
    {.family = "qwen35", .patterns = kQwen35},
    {.family = "laguna", .patterns = kLaguna},
    {.family = "minicpm5", .patterns = kMiniCpm5, .ignore_merges = true},
    {.family = "deepseek-llm",
     .patterns = kDeepseekLlm,
     .known_difference = "llama.cpp counts U+3000 as white space in this pre-tokenizer; the "
                         "published one (used here) lists it among the punctuation"},
    {.family = "deepseek-coder",
     .patterns = kDeepseekCoder,
     .known_difference = "llama.cpp hides white space beyond ASCII from the class U+0800 to U+4E00 "
                         "of this pre-tokenizer; the published one (used here) counts it in"},
    {.family = "deepseek-v3", .patterns = kDeepseek3},
    {.family = "spark2_5", .patterns = kSpark25},
    {.family = "falcon", .patterns = kFalcon},
    {.family = "bloom", .patterns = kBloom},
    {.family = "viking", .patterns = kViking},
    {.family = "chatglm4", .patterns = kLlama3, .no_bos = true},
    {.family = "tekken",
     .patterns = kTekken,
     .ignore_merges = true,
     .add_bos = true,
     .known_difference = kCaseNote},
    {.family = "gpt-4o", .patterns = kGpt4o, .known_difference = kCaseNote},
    {.family = "granite-embed-multi-97m",
     .patterns = kGpt4o,
     .ignore_merges = true,
     .known_difference = kCaseNote},
    {.family = "tiny_aya",
     .patterns = kTinyAya,
     .known_difference = "llama.cpp groups digits also where a letter follows them and reads "
                         "\\p{Lu}, \\p{Ll}, ... as any letter; the published expressions (used "
                         "here) do neither"},
    {.family = "youtu",
     .patterns = kYoutu,
     .ignore_merges = true,
     .known_difference = kCollapsedNote},
    {.family = "chameleon", .patterns = kChameleon, .add_bos = true},
    {.family = "kimi-k2", .patterns = kKimiK2, .known_difference = kCaseNote},
    {.family = "superbpe", .patterns = kSuperBpe},
    {.family = "bailingmoe", .patterns = kBailingMoe},
    {.family = "seed-coder", .patterns = kSeedCoder},
    {.family = "ufakzeka", .patterns = kUfakzeka},
    {.family = "exaone-moe", .patterns = kExaoneMoe},
    {.family = "gemma4",
     .patterns = kNewlineRuns,
     .add_bos = true,
     .byte_level = false,
     .escape_spaces = true,
     .whole_newline_runs = true},
    {.family = "sarvam-moe", .patterns = kNewlineRuns, .byte_level = false, .escape_spaces = true},
};

struct Name {
  std::string_view name, family;
};

// tokenizer.ggml.pre -> family (llama.cpp: the chain of comparisons in llama_vocab::impl::load).
constexpr Name kNames[] = {
    {"", "default"},
    {"default", "default"},
    {"minicpm5", "minicpm5"},
    {"llama3", "llama3"},
    {"llama-v3", "llama3"},
    {"llama-bpe", "llama3"},
    {"falcon3", "llama3"},
    {"falcon-h1", "llama3"},
    {"pixtral", "llama3"},
    {"midm-2.0", "llama3"},
    {"lfm2", "llama3"},
    {"jina-v5-nano", "llama3"},
    {"deepseek-llm", "deepseek-llm"},
    {"deepseek-coder", "deepseek-coder"},
    {"deepseek-v3", "deepseek-v3"},
    {"hunyuan-dense", "deepseek-v3"},
    {"hy_v4", "deepseek-v3"},
    {"joyai-llm", "deepseek-v3"},
    {"spark2_5", "spark2_5"},
    {"youtu", "youtu"},
    {"falcon", "falcon"},
    {"mpt", "gpt-2"},
    {"gpt-2", "gpt-2"},
    {"phi-2", "gpt-2"},
    {"jina-es", "gpt-2"},
    {"jina-de", "gpt-2"},
    {"gigachat", "gpt-2"},
    {"jina-v2-es", "gpt-2"},
    {"jina-v2-de", "gpt-2"},
    {"a.x-4.0", "gpt-2"},
    {"mellum", "gpt-2"},
    {"modern-bert", "gpt-2"},
    {"jina-v1-en", "gpt-2"},
    {"jina-v2-code", "gpt-2"},
    {"roberta-bpe", "gpt-2"},
    {"olmo", "gpt-2"},
    {"jais", "gpt-2"},
    {"exaone4", "gpt-2"},
    {"trillion", "gpt-2"},
    {"granite-docling", "gpt-2"},
    {"jais-2", "jais-2"},
    {"gemma4", "gemma4"},
    {"granite-embed-multi-311m", "gemma4"},
    {"sarvam-moe", "sarvam-moe"},
    {"starcoder", "smollm"},
    {"refact", "smollm"},
    {"command-r", "smollm"},
    {"smollm", "smollm"},
    {"codeshell", "smollm"},
    {"exaone", "smollm"},
    {"minerva-7b", "smollm"},
    {"mellum2", "smollm"},
    {"qwen2", "qwen2"},
    {"deepseek-r1-qwen", "qwen2"},
    {"kormo", "qwen2"},
    {"f2llmv2", "qwen2"},
    {"stablelm2", "qwen2"},
    {"megrez", "qwen2"},
    {"hunyuan", "qwen2"},
    {"solar-open", "qwen2"},
    {"grok-2", "qwen2"},
    {"qwen35", "qwen35"},
    {"dbrx", "dbrx"},
    {"smaug-bpe", "dbrx"},
    {"poro-chat", "bloom"},
    {"bloom", "bloom"},
    {"gpt3-finnish", "bloom"},
    {"viking", "viking"},
    {"glm4", "chatglm4"},
    {"chatglm-bpe", "chatglm4"},
    {"tekken", "tekken"},
    {"exaone-moe", "exaone-moe"},
    {"chameleon", "chameleon"},
    {"gpt-4o", "gpt-4o"},
    {"llama4", "gpt-4o"},
    {"kanana2", "gpt-4o"},
    {"talkie", "gpt-4o"},
    {"minimax-m2", "gpt-4o"},
    {"granite-embed-multi-97m", "granite-embed-multi-97m"},
    {"tiny_aya", "tiny_aya"},
    {"cohere2moe", "tiny_aya"},
    {"superbpe", "superbpe"},
    {"bailingmoe", "bailingmoe"},
    {"bailingmoe2", "bailingmoe"},
    {"llada-moe", "bailingmoe"},
    {"seed-coder", "seed-coder"},
    {"kimi-k2", "kimi-k2"},
    {"ufakzeka", "ufakzeka"},
    {"laguna", "laguna"},
};

constexpr const PreTokenizer* find_family(std::string_view family) {
  for (const PreTokenizer& entry : kFamilies) {
    if (entry.family == family) return &entry;
  }
  return nullptr;
}

static_assert(std::ranges::all_of(kNames, [](const Name& n) { return find_family(n.family); }),
              "a name without its family");

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  for (const Name& entry : kNames) {
    if (entry.name == name) return find_family(entry.family);
  }
  return nullptr;
}

std::string pre_tokenizer_names() {
  std::string names;
  for (const Name& entry : kNames) {
    if (entry.name.empty()) continue;
    names += names.empty() ? "" : ", ";
    names += entry.name;
  }
  return names;
}

}  // namespace crossval
