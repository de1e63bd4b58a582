#include "text/tokenizer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/file_tokenizer.h"
#include "text/gguf_tokenizer.h"
#include "text/ids_tokenizer.h"
#include "text/vocabulary.h"

namespace crossval {
namespace {

void append(int32_t id, const char* name, const std::string& path, std::vector<int32_t>& ids) {
  if (id < 0) {
    bad_input("missing_special_token",
              fmt::format("the metadata asks for {} but names no such token", name), path,
              "run with --bos off, or convert the model again");
  }
  ids.push_back(id);
}

}  // namespace

void append_bos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids) {
  if (rules.add_bos) append(rules.bos_id, "BOS", path, ids);
}

void append_eos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids) {
  if (rules.add_eos) append(rules.eos_id, "EOS", path, ids);
}

std::unique_ptr<Tokenizer> Tokenizer::from_gguf(const ModelFile& model) {
  Vocabulary vocabulary = read_vocabulary(model);
  const std::string& path = model.path();
  switch (vocabulary.kind) {
    case VocabKind::bpe:
      return make_bpe_tokenizer(std::move(vocabulary), path);
    case VocabKind::spm:
      return make_spm_tokenizer(std::move(vocabulary), path);
    case VocabKind::unigram:
      return make_unigram_tokenizer(std::move(vocabulary), path);
    case VocabKind::wordpiece:
      return make_wordpiece_tokenizer(std::move(vocabulary), path);
    case VocabKind::rwkv:
      return make_rwkv_tokenizer(std::move(vocabulary), path);
    case VocabKind::plamo2:
      break;
  }
  return make_plamo2_tokenizer(std::move(vocabulary), path);
}

std::unique_ptr<Tokenizer> Tokenizer::from_gguf_or_ids(const ModelFile& model) {
  try {
    return from_gguf(model);
  } catch (const Error& error) {
    return make_ids_tokenizer(model, error);
  }
}

std::unique_ptr<Tokenizer> Tokenizer::from_file(const std::string& path, const ModelFile& model) {
  return make_file_tokenizer(path, model);
}

}  // namespace crossval
