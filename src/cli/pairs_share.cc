#include "cli/pairs_share.h"

#include <algorithm>

#include "base/error.h"

namespace crossval {
namespace {

// An engine that several pairs hold. Each pair resets it before it evaluates.
class SharedEngine : public Engine {
 public:
  explicit SharedEngine(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}

  const EngineInfo& info() const override { return engine_->info(); }
  const EngineTiming& timing() const override { return engine_->timing(); }
  std::vector<TokenId> tokenize(const std::string& text, const TokenizeOptions& options) override {
    return engine_->tokenize(text, options);
  }
  std::string piece(TokenId id) override { return engine_->piece(id); }
  void reset(int n_ctx) override { engine_->reset(n_ctx); }
  void eval(std::span<const TokenId> ids) override { engine_->eval(ids); }
  void read_logits(int first_row, int n_rows, std::span<float> out) override {
    engine_->read_logits(first_row, n_rows, out);
  }
  std::vector<std::string> log_tail() override { return engine_->log_tail(); }
  std::vector<std::string> warnings() override { return engine_->warnings(); }
  int64_t peak_rss_bytes() override { return engine_->peak_rss_bytes(); }

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::unique_ptr<Engine> PairsShare::open(const std::string& name,
                                         const std::function<std::unique_ptr<Engine>()>& make) {
  const auto [found, is_new] = engines_.try_emplace(name);
  Opened& opened = found->second;
  if (is_new) {
    try {
      opened.engine = make();
    } catch (const Error&) {
      opened.failure = std::current_exception();
    }
  }
  if (opened.failure) std::rethrow_exception(opened.failure);
  return std::make_unique<SharedEngine>(opened.engine);
}

void PairsShare::set_evaluated(size_t n_prompt, const std::vector<TokenId>& ids) {
  if (!evaluated_.empty()) return;
  evaluated_ = ids;
  n_prompt_ = n_prompt;
}

std::vector<TokenId> PairsShare::decoded_after(const std::vector<TokenId>& prompt) const {
  if (evaluated_.empty() || prompt.size() != n_prompt_ ||
      !std::equal(prompt.begin(), prompt.end(), evaluated_.begin())) {
    return {};
  }
  return {evaluated_.begin() + static_cast<std::ptrdiff_t>(n_prompt_), evaluated_.end()};
}

}  // namespace crossval
