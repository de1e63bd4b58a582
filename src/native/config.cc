#include "native/config.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace crossval {
namespace {

// Above these no known model lies; they keep every product of two of them inside int64.
constexpr int64_t kMaxWidth = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;

class Reader {
 public:
  explicit Reader(const ModelFile& model) : model_(model), prefix_(model.architecture() + ".") {}

  std::string key(const char* name) const { return prefix_ + name; }

  int required_int(const char* name, int64_t max) const {
    auto value = model_.get_int(key(name));
    if (!value) {
      bad_input("missing_key", fmt::format("the model has no metadata key '{}'", key(name)),
                model_.path(), "convert the model again with a current converter");
    }
    return checked(name, *value, max);
  }
  int optional_int(const char* name, int fallback, int64_t max) const {
    auto value = model_.get_int(key(name));
    return value ? checked(name, *value, max) : fallback;
  }
  float optional_float(const char* name, float fallback) const {
    auto value = model_.get_float(key(name));
    if (!value) return fallback;
    if (!std::isfinite(*value)) {
      bad_input("bad_hyperparameter", fmt::format("'{}' is not a finite number", key(name)),
                model_.path(), "correct this metadata key");
    }
    return static_cast<float>(*value);
  }

 private:
  int checked(const char* name, int64_t value, int64_t max) const {
    if (value < 1 || value > max) {
      bad_input("bad_hyperparameter",
                fmt::format("'{}' is {}, expected 1 to {}", key(name), value, max), model_.path(),
                "correct this metadata key or convert the model again");
    }
    return static_cast<int>(value);
  }

  const ModelFile& model_;
  std::string prefix_;
};

// llama-model.cpp `load_hparams` and llama-context.cpp (llama.cpp v0.5.0): how the scaling keys
// become freq_scale, ext_factor and attn_factor.
RopeConfig read_rope(const ModelFile& model, const Reader& reader, const Config& config,
                     RopeStyle style) {
  RopeConfig rope;
  rope.style = style;
  rope.n_dims = reader.optional_int("rope.dimension_count", config.head_dim, config.head_dim);
  rope.freq_base = reader.optional_float("rope.freq_base", 10000.0f);
  rope.n_ctx_orig =
      reader.optional_int("rope.scaling.original_context_length", config.n_ctx_train, INT32_MAX);
  const std::string type = model.get_string(reader.key("rope.scaling.type")).value_or("linear");
  float factor = reader.optional_float("rope.scaling.factor", 0.0f);
  if (!model.find(reader.key("rope.scaling.factor"))) {
    factor = reader.optional_float("rope.scale_linear", 0.0f);
  }
  if (type == "none") {
    rope.freq_scale = 1.0f;
  } else if (type == "linear" || type == "yarn") {
    rope.freq_scale = factor == 0.0f ? 1.0f : 1.0f / factor;
  } else {
    bad_input("unsupported_rope", fmt::format("rope scaling '{}' is not supported", type),
              model.path(), "native knows none, linear and yarn; compare two other engines");
  }
  if (type == "yarn") {
    // The magnitude factor of the paper is applied where angles are made (rope.cc); llama.cpp
    // multiplies it in and cancels it once, which leaves 1 for factors above 1.
    rope.ext_factor = 1.0f;
    const float scale = 1.0f / rope.freq_scale;
    const float mscale = scale <= 1.0f ? 1.0f : 0.1f * std::log(scale) + 1.0f;
    rope.attn_factor = mscale * (1.0f / (1.0f + 0.1f * std::log(scale)));
  }
  rope.attn_factor *= reader.optional_float("rope.scaling.attn_factor", 1.0f);
  rope.beta_fast = reader.optional_float("rope.scaling.yarn_beta_fast", 32.0f);
  rope.beta_slow = reader.optional_float("rope.scaling.yarn_beta_slow", 1.0f);
  if (rope.n_dims % 2 != 0 || !(rope.freq_base > 0) || !std::isfinite(rope.freq_scale)) {
    bad_input("bad_hyperparameter",
              fmt::format("rope over {} elements with base {} and scale {} makes no sense",
                          rope.n_dims, rope.freq_base, rope.freq_scale),
              model.path(), "correct the rope.* metadata keys");
  }
  return rope;
}

}  // namespace

Config read_config(const ModelFile& model, RopeStyle rope_style) {
  const Reader reader(model);
  Config config;
  config.arch = model.architecture();
  config.n_embd = reader.required_int("embedding_length", kMaxWidth);
  config.n_layers = reader.required_int("block_count", kMaxLayers);
  config.n_ff = reader.required_int("feed_forward_length", kMaxWidth);
  config.n_ctx_train = reader.required_int("context_length", INT32_MAX);
  config.n_heads = reader.required_int("attention.head_count", config.n_embd);
  config.n_kv_heads =
      reader.optional_int("attention.head_count_kv", config.n_heads, config.n_heads);
  const int default_dim = config.n_embd / config.n_heads;
  config.head_dim = reader.optional_int("attention.key_length", default_dim, kMaxWidth);
  if (reader.optional_int("attention.value_length", config.head_dim, kMaxWidth) !=
      config.head_dim) {
    bad_input("unsupported_heads", "key and value heads differ in length", model.path(),
              "native does not know this; compare two other engines");
  }
  if (config.head_dim == default_dim && config.n_embd % config.n_heads != 0) {
    bad_input("bad_hyperparameter",
              fmt::format("embedding_length {} is no multiple of head_count {}", config.n_embd,
                          config.n_heads),
              model.path(), "correct the metadata or convert the model again");
  }
  if (config.n_heads % config.n_kv_heads != 0) {
    bad_input("bad_hyperparameter",
              fmt::format("head_count {} is no multiple of head_count_kv {}", config.n_heads,
                          config.n_kv_heads),
              model.path(), "correct the metadata or convert the model again");
  }
  config.rms_eps = reader.optional_float("attention.layer_norm_rms_epsilon", -1.0f);
  if (!(config.rms_eps >= 0)) {
    bad_input(
        "missing_key",
        fmt::format("'{}' is missing or negative", reader.key("attention.layer_norm_rms_epsilon")),
        model.path(), "convert the model again with a current converter");
  }
  config.kq_scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  config.rope = read_rope(model, reader, config, rope_style);
  return config;
}

}  // namespace crossval
