#include "text/ids_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace crossval {
namespace {

class IdsTokenizer : public Tokenizer {
 public:
  IdsTokenizer(const ModelFile& model, Error reason) : reason_(std::move(reason)) {
    const TensorView* embd = model.find_tensor("token_embd.weight");
    if (embd != nullptr && embd->shape.size() == 2) {
      n_vocab_ = static_cast<int>(std::min<int64_t>(embd->shape[1], INT32_MAX));
    }
  }

  std::vector<int32_t> encode(const std::string&, bool, bool) const override {
    throw Error(reason_);
  }
  void require_text() const override { throw Error(reason_); }
  std::string piece(int32_t id) const override { return fmt::format("[{}]", id); }
  int n_vocab() const override { return n_vocab_; }
  const VocabRules& rules() const override { return rules_; }
  std::vector<std::string> warnings() const override {
    return {fmt::format("ids are shown instead of pieces: {} ({})", reason_.what_, reason_.where)};
  }

 private:
  Error reason_;
  VocabRules rules_;
  int n_vocab_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_ids_tokenizer(const ModelFile& model, Error reason) {
  return std::make_unique<IdsTokenizer>(model, std::move(reason));
}

}  // namespace crossval
