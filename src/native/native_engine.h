// The independent engine: an Engine that runs in this process on our own kernels, straight from
// the mapped model file. Logits are computed when they are read, row block by row block.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "engine/engine.h"
#include "gguf/model_file.h"
#include "native/kv_cache.h"
#include "native/routing_log.h"
#include "native/tap_writer.h"
#include "quant/matmul.h"
#include "text/tokenizer.h"

namespace crossval {

struct NativeOptions {
  Numerics numerics = Numerics::ggml;
  KvType k_type = KvType::f32, v_type = KvType::f32;
  // Keys and values are half floats wherever they are kept, and weights of positions are not
  // rounded, as in llama.cpp's flash attention (src/llama-graph.cpp `build_attn_mha` casts).
  bool flash_attn = false;
  bool sums_otherwise = false;  // as another order of f32 sums might have it (native/sum_order.h)
  std::shared_ptr<RoutingLog> routing_log = nullptr;          // gets what routers choose
  std::shared_ptr<const RoutingTips> routing_tips = nullptr;  // choices to make otherwise
};

class NativeEngine : public Engine {
 public:
  // `tokenizer` may be null: then tokenize and piece throw. Throws bad_input when native does not
  // support the model. The pool is shared: only one engine may evaluate at a time.
  NativeEngine(std::shared_ptr<const ModelFile> model, std::shared_ptr<const Tokenizer> tokenizer,
               const NativeOptions& options, std::shared_ptr<ThreadPool> pool);
  ~NativeEngine() override;

  const EngineInfo& info() const override;
  const EngineTiming& timing() const override;
  std::vector<TokenId> tokenize(const std::string& text, const TokenizeOptions& options) override;
  std::string piece(TokenId id) override;
  void reset(int n_ctx) override;
  void eval(std::span<const TokenId> ids) override;
  Capabilities can() const override { return {.taps = true}; }
  // Under llama.cpp's names (src/native/arch). `result_output`, which is n_vocab wide and the same
  // as the logits, comes only when an expression names it. The ids are evaluated in one batch.
  void eval_with_taps(std::span<const TokenId> ids, const TapFilter& filter,
                      const TapSink& sink) override;
  void read_logits(int first_row, int n_rows, std::span<float> out) override;
  int64_t peak_rss_bytes() override;

  // For error bounds: width and depth of the model.
  int n_embd() const;
  int n_layers() const;

 private:
  void eval_in_batches(std::span<const TokenId> ids, int batch, TapWriter* taps);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace crossval
