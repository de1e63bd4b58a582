#include "native/native_engine.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cassert>

#include "arch/archs.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "base/version.h"
#include "engine/encode.h"
#include "native/forward.h"
#include "native/support.h"
#include "native/vector_math.h"
#include "quant/isa.h"

namespace crossval {
namespace {

// Tokens evaluated together: bounds the buffers, changes no result.
constexpr int kMaxBatch = 512;

const Arch& supported_arch(const ModelFile& model) {
  if (auto reason = native_unsupported_reason(model)) {
    bad_input("native_unsupported", "native cannot run this model: " + *reason, model.path(),
              "`crossval trace` checks an engine's tensors without native; or compare two other "
              "engines with "
              "--engine and --backend (see `crossval backends`)");
  }
  return *find_arch(model.architecture());
}

std::vector<KvShape> kv_shapes(const Arch& arch, const Config& config) {
  const bool has_rows = arch.find_block<CompressedAttention>() != nullptr;
  std::vector<KvShape> all;
  for (const LayerConfig& layer : config.layers) {
    all.push_back({layer.n_kv_heads, layer.head_dim, layer.value_dim, has_rows ? layer.ratio : 0});
  }
  return all;
}

// Engines keep a cache for causal models alone.
KvType kept_as(KvType type, const NativeOptions& options, const Arch& arch) {
  if (options.flash_attn) return type == KvType::f32 ? KvType::f16 : type;
  return arch.causal ? type : KvType::f32;
}

}  // namespace

struct NativeEngine::Impl {
  Impl(std::shared_ptr<const ModelFile> model_in, std::shared_ptr<const Tokenizer> tokenizer_in,
       const NativeOptions& options, std::shared_ptr<ThreadPool> pool_in)
      : model(std::move(model_in)),
        tokenizer(std::move(tokenizer_in)),
        pool(std::move(pool_in)),
        numerics(options.numerics),
        output_numerics(options.numerics),
        arch(supported_arch(*model)),
        config(read_config(*model, arch)),
        weights(bind_weights(*model, arch, config)),
        cache(kv_shapes(arch, config), kept_as(options.k_type, options, arch),
              kept_as(options.v_type, options, arch)),
        routing_log(options.routing_log),
        routing_tips(options.routing_tips),
        pass(arch, config, weights, options.numerics, cache, *pool) {
    pass.routing_log = routing_log.get();
    pass.routing_tips = routing_tips.get();
    pass.sums_otherwise = options.sums_otherwise;
    pass.reads_halves = options.flash_attn;
    if (arch.f32_beside_f16 && output().matrix.format->type == GgmlType::F16) {
      output_numerics = Numerics::exact;
    }
    hidden.width = config.n_embd;
  }

  const Weight& output() const { return weights.outside[Role::output]; }

  // Factors for long contexts are used once the cache reaches beyond the trained length, those for
  // short ones below (llama.cpp `llama_model::get_rope_factors`).
  void choose_rope_factors() {
    const WeightsByRole& outside = weights.outside;
    const Role role = outside[Role::rope_freqs]        ? Role::rope_freqs
                      : n_ctx > config.rope.n_ctx_orig ? Role::rope_factors_long
                                                       : Role::rope_factors_short;
    pass.set_rope_factors(outside[role].vector);
  }

  // Rows of the embedding, with what an architecture does to them.
  void embed(std::span<const TokenId> ids) {
    const WeightsByRole& outside = weights.outside;
    const int n = static_cast<int>(ids.size());
    for (int token = 0; token < n; ++token) {
      get_row(outside[Role::token_embd].matrix, ids[token], pass.x.row(token));
    }
    pass.tap("embd", "GET_ROWS", pass.x);
    if (config.embedding_scale != 1) {
      pass.scale(config.embedding_scale, pass.x);
      pass.tap("inp_scaled", "SCALE", pass.x);
    }
    if (const Weight& positions = outside[Role::position_embd]) {
      assert(n_past + n <= positions.matrix.n_rows);  // no prompt is longer than n_ctx_train
      std::vector<float> row(static_cast<size_t>(config.n_embd));
      for (int token = 0; token < n; ++token) {
        get_row(positions.matrix, n_past + token, row.data());
        add_row(row.data(), config.n_embd, pass.x.row(token));
      }
      pass.tap("inpL", "ADD", pass.x);
    }
    if (arch.embedding_norm != Arch::EmbeddingNorm::none) {
      pass.norm(pass.x, outside[Role::token_embd_norm], pass.x);
    }
  }

  // Runs ids through all layers; appends the normed last hidden states to `hidden`.
  void forward(std::span<const TokenId> ids, int hidden_row, TapWriter* taps) {
    const int n = static_cast<int>(ids.size());
    pass.begin(ids, n_past);
    pass.taps = taps;
    pass.layer = -1;
    embed(ids);
    pass.run_layers();
    const Weight& output_norm = weights.outside[arch.output_norm];
    if (arch.output_norm == Role::none) {
      std::copy_n(pass.x.data.begin(), static_cast<size_t>(n) * config.n_embd,
                  pass.normed.data.begin());
    } else {
      pass.norm(pass.x, output_norm, pass.normed);
    }
    std::copy_n(pass.normed.data.begin(), static_cast<size_t>(n) * config.n_embd,
                hidden.row(hidden_row));
    const char* op = arch.output_norm == Role::none ? "SCALE"
                     : output_norm.bias.empty()     ? "MUL"
                                                    : "ADD";
    pass.tap("result_norm", op, pass.normed);
    n_past += n;
  }

  // Products with the output matrix become logits.
  void finish_logits(float* row) const {
    const int n_vocab = config.n_vocab;
    const Weight& out = output();
    if (!out.scale.empty()) scale_row(out.scale[0], n_vocab, row);
    if (!out.bias.empty()) add_row(out.bias.data(), n_vocab, row);
    if (config.logit_scale != 1) scale_row(config.logit_scale, n_vocab, row);
    if (config.final_softcap != 0) soft_cap_row(config.final_softcap, n_vocab, row);
  }

  std::shared_ptr<const ModelFile> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<ThreadPool> pool;
  Numerics numerics, output_numerics;
  const Arch& arch;
  Config config;
  Weights weights;
  KvCache cache;
  std::shared_ptr<RoutingLog> routing_log;
  std::shared_ptr<const RoutingTips> routing_tips;
  ForwardPass pass;
  Rows hidden;     // [rows of the latest eval, n_embd]
  int n_rows = 0;  // rows of the latest eval
  int n_past = 0;  // positions in the cache
  int n_ctx = 0;
  EngineInfo info;
  EngineTiming timing;
};

NativeEngine::NativeEngine(std::shared_ptr<const ModelFile> model,
                           std::shared_ptr<const Tokenizer> tokenizer, const NativeOptions& options,
                           std::shared_ptr<ThreadPool> pool) {
  const Stopwatch watch;
  impl_ = std::make_unique<Impl>(std::move(model), std::move(tokenizer), options, std::move(pool));
  EngineInfo& info = impl_->info;
  info.name = "native";
  info.version = version();
  info.model = impl_->model->path();
  info.n_threads = impl_->pool->n_threads();
  info.n_vocab = impl_->config.n_vocab;
  info.n_ctx_train = impl_->config.n_ctx_train;
  info.settings = {{"numerics", options.numerics == Numerics::ggml ? "ggml" : "exact"},
                   {"kv_type_k", kv_type_name(options.k_type)},
                   {"kv_type_v", kv_type_name(options.v_type)},
                   {"isa", std::string(isa_name(active_isa()))}};
  if (!isa_note().empty()) info.settings["isa_note"] = isa_note();
  if (const auto& i2_s = impl_->model->i2_s()) {
    info.settings["i2s_layout"] =
        fmt::format("{} ({})", i2_s_layout_info(i2_s->layout).name, i2_s->how);
  }
  impl_->timing.load_ms = watch.elapsed_ms();
}

NativeEngine::~NativeEngine() = default;

const EngineInfo& NativeEngine::info() const { return impl_->info; }
const EngineTiming& NativeEngine::timing() const { return impl_->timing; }
int NativeEngine::n_embd() const { return impl_->config.n_embd; }
int NativeEngine::n_layers() const { return impl_->config.n_layers; }

std::vector<TokenId> NativeEngine::tokenize(const std::string& text,
                                            const TokenizeOptions& options) {
  if (!impl_->tokenizer) {
    bad_input("no_tokenizer", "no vocabulary was read for this run", impl_->model->path(),
              "give the ids with --tokens");
  }
  const Stopwatch watch;
  std::vector<TokenId> ids = encode_with_options(*impl_->tokenizer, text, options);
  impl_->timing.tokenize_ms += watch.elapsed_ms();
  return ids;
}

std::string NativeEngine::piece(TokenId id) {
  return impl_->tokenizer ? impl_->tokenizer->piece(id) : std::string();
}

void NativeEngine::reset(int n_ctx) {
  const Stopwatch watch;
  impl_->pass.reset(n_ctx);
  impl_->n_ctx = n_ctx;
  impl_->choose_rope_factors();
  impl_->n_past = 0;
  impl_->n_rows = 0;
  impl_->timing.load_ms += watch.elapsed_ms();
}

void NativeEngine::eval(std::span<const TokenId> ids) {
  const int whole = std::max(1, static_cast<int>(ids.size()));
  eval_in_batches(ids, impl_->arch.causal ? kMaxBatch : whole, nullptr);
}

void NativeEngine::eval_with_taps(std::span<const TokenId> ids, const TapFilter& filter,
                                  const TapSink& sink) {
  TapWriter taps(filter, sink, impl_->n_past);
  eval_in_batches(ids, std::max(1, static_cast<int>(ids.size())), &taps);
  if (filter.name_regex.text().empty() || !taps.wants("result_output", -1)) return;
  const int n = impl_->n_rows;
  std::vector<float> logits(static_cast<size_t>(n) * static_cast<size_t>(impl_->config.n_vocab));
  read_logits(0, n, logits);
  taps.write("result_output", -1, "MUL_MAT", logits.data(), impl_->config.n_vocab, n);
}

void NativeEngine::eval_in_batches(std::span<const TokenId> ids, int batch, TapWriter* taps) {
  const Stopwatch watch;
  const int n = static_cast<int>(ids.size());
  for (TokenId id : ids) {
    if (id < 0 || id >= impl_->config.n_vocab) {
      bad_input("token_out_of_range",
                fmt::format("id {} is not in the vocabulary of {}", id, impl_->config.n_vocab),
                impl_->model->path(), "ids go from 0 to the vocabulary's size less one");
    }
  }
  assert(impl_->n_past + n <= impl_->n_ctx);
  impl_->n_rows = n;
  impl_->hidden.data.resize(static_cast<size_t>(n) * static_cast<size_t>(impl_->hidden.width));
  const bool is_prompt = impl_->n_past == 0;
  for (int first = 0; first < n; first += batch) {
    const int count = std::min(batch, n - first);
    const auto part = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    impl_->forward(part, first, taps);
  }
  const double ms = watch.elapsed_ms();
  impl_->timing.eval_ms += ms;
  (is_prompt ? impl_->timing.prompt_eval_ms : impl_->timing.decode_ms) += ms;
}

void NativeEngine::read_logits(int first_row, int n_rows, std::span<float> out) {
  const Stopwatch watch;
  assert(first_row >= 0 && first_row + n_rows <= impl_->n_rows);
  const int64_t n_vocab = impl_->config.n_vocab;
  assert(static_cast<int64_t>(out.size()) >= n_rows * n_vocab);
  matmul(impl_->output().matrix, impl_->hidden.row(first_row), impl_->hidden.width, n_rows,
         out.data(), n_vocab, impl_->output_numerics, *impl_->pool);
  for (int row = 0; row < n_rows; ++row) impl_->finish_logits(out.data() + row * n_vocab);
  const double ms = watch.elapsed_ms();
  impl_->timing.eval_ms += ms;
  const bool is_prompt = impl_->n_past == impl_->n_rows;
  (is_prompt ? impl_->timing.prompt_eval_ms : impl_->timing.decode_ms) += ms;
}

int64_t NativeEngine::peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace crossval
