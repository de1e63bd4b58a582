#include "replay/expectations.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/half.h"
#include "native/archs.h"

namespace crossval {
namespace {

// Positions of parameters in ggml_tensor::op_params (ggml.c: ggml_rope_impl, ggml_soft_max_impl,
// ggml_flash_attn_ext, ggml_norm_impl); the same since 2024.
constexpr size_t rope_n_dims = 1, rope_mode = 2, rope_freq_base = 5, rope_freq_scale = 6,
                 rope_ext_factor = 7, rope_beta_fast = 9, rope_beta_slow = 10;
constexpr size_t soft_max_scale = 0, soft_max_bias = 1;
constexpr size_t flash_scale = 0, flash_bias = 1, flash_softcap = 2;
constexpr size_t norm_eps = 0;
constexpr int32_t mode_norm = 0, mode_neox = 2;  // GGML_ROPE_TYPE_*

// Ids, positions and scales are stored as they are said: anything beyond f32 rounding differs.
bool alike(float a, float b) {
  return std::abs(a - b) <= 2e-6f * std::max(std::abs(a), std::abs(b));
}

float as_float(int32_t word) { return std::bit_cast<float>(word); }

// Makes a float parameter what it should be; one fault when it was not.
void expect_float(Tap& tap, size_t index, float expected, Cause cause, const char* what,
                  std::vector<ParameterFault>& faults) {
  const float found = as_float(tap.params[index]);
  if (alike(found, expected)) return;
  faults.push_back({cause, what, fmt::format("{:.6g}", expected), fmt::format("{:.6g}", found)});
  tap.params[index] = std::bit_cast<int32_t>(expected);
}

void expect_int(Tap& tap, size_t index, int32_t expected, Cause cause, const char* what,
                std::vector<ParameterFault>& faults) {
  if (tap.params[index] == expected) return;
  faults.push_back({cause, what, std::to_string(expected), std::to_string(tap.params[index])});
  tap.params[index] = expected;
}

// I32 values of a source, made what they should be.
void expect_ids(TapTensor& tensor, std::span<const int32_t> expected, Cause cause, const char* what,
                std::vector<ParameterFault>& faults) {
  if (tensor.type != GgmlType::I32 || tensor.data.size() != expected.size_bytes()) return;
  if (std::memcmp(tensor.data.data(), expected.data(), expected.size_bytes()) == 0) return;
  size_t at = 0;
  int32_t found = 0;
  for (;; ++at) {
    std::memcpy(&found, tensor.data.data() + at * sizeof found, sizeof found);
    if (found != expected[at]) break;
  }
  faults.push_back(
      {cause, what, fmt::format("{} at index {}", expected[at], at), std::to_string(found)});
  std::memcpy(tensor.data.data(), expected.data(), expected.size_bytes());
}

}  // namespace

enum class Activation { silu, relu_squared, gelu };

// Architectures whose graphs are known well enough to say what every parameter must be. Sources:
// llama.cpp src/models/*.cpp and llama_model_rope_type; bitnet.cpp and ik_llama.cpp for relu^2.
struct Expectations::Row {
  const char* arch;
  RopeStyle rope_style;
  Activation activation;
  bool one_rope;  // every layer rotates alike
};

const Expectations::Row* Expectations::find_row(const std::string& arch) {
  static constexpr Row table[] = {
      {"llama", RopeStyle::norm, Activation::silu, true},
      {"bitnet", RopeStyle::neox, Activation::silu, true},
      {"bitnet-25", RopeStyle::neox, Activation::relu_squared, true},
      {"bitnet-b1.58", RopeStyle::neox, Activation::relu_squared, true},
      {"qwen2", RopeStyle::neox, Activation::silu, true},
      {"qwen3", RopeStyle::neox, Activation::silu, true},
      {"granite", RopeStyle::norm, Activation::silu, true},
      {"gemma2", RopeStyle::neox, Activation::gelu, false},
      {"gemma3", RopeStyle::neox, Activation::gelu, false},
  };
  for (const Row& row : table) {
    if (arch == row.arch) return &row;
  }
  return nullptr;
}

Expectations::Expectations(std::shared_ptr<const ModelFile> model)
    : model_(std::move(model)), row_(find_row(model_->architecture())) {
  if (row_ == nullptr) return;
  try {
    config_ = read_config(*model_, row_->rope_style);
    const auto scale = model_->get_float(config_->arch + ".attention.scale");
    if (scale && *scale != 0) config_->kq_scale = static_cast<float>(*scale);
  } catch (const Error&) {
    row_ = nullptr;  // metadata that say something unknown: nothing is expected then
  }
}

std::string Expectations::activation() const {
  if (row_ == nullptr) return "";
  switch (row_->activation) {
    case Activation::silu:
      return "silu";
    case Activation::relu_squared:
      return "relu^2";
    case Activation::gelu:
      return "gelu";
  }
  return "";
}

std::vector<ParameterFault> Expectations::correct(Tap& tap, std::span<const TokenId> ids) const {
  std::vector<ParameterFault> faults;
  correct_inputs(tap, ids, faults);
  if (!config_) return faults;
  if (tap.op == "RMS_NORM" || tap.op == "FUSED_RMS_NORM") correct_norm(tap, faults);
  if (tap.op == "ROPE") correct_rope(tap, faults);
  if (tap.op == "SOFT_MAX" || tap.op == "FLASH_ATTN_EXT") correct_attention(tap, faults);
  correct_activation(tap, faults);
  return faults;
}

// What goes into the graph: the ids, and where they stand.
void Expectations::correct_inputs(Tap& tap, std::span<const TokenId> ids,
                                  std::vector<ParameterFault>& faults) const {
  if (tap.op == "GET_ROWS" && tap.sources.size() > 1 && tap.sources[0].is_weight &&
      tap.sources[0].name == "token_embd.weight") {
    expect_ids(tap.sources[1], ids, Cause::tokens, "the ids looked up", faults);
  }
  if (tap.op == "ROPE" && tap.sources.size() > 1) {
    std::vector<int32_t> positions(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      positions[i] = tap.first_position + static_cast<int32_t>(i);
    }
    expect_ids(tap.sources[1], positions, Cause::positions, "the position", faults);
  }
}

void Expectations::correct_norm(Tap& tap, std::vector<ParameterFault>& faults) const {
  expect_float(tap, norm_eps, config_->rms_eps, Cause::rms_eps, "rms eps", faults);
}

void Expectations::correct_rope(Tap& tap, std::vector<ParameterFault>& faults) const {
  if (!row_->one_rope) return;
  const RopeConfig& rope = config_->rope;
  const bool is_q_or_k =
      tap.out.ne[0] == config_->head_dim &&
      (tap.out.ne[1] == config_->n_heads || tap.out.ne[1] == config_->n_kv_heads);
  if (!is_q_or_k) {
    faults.push_back(
        {Cause::head_count, "the heads",
         fmt::format("{} or {} of {}", config_->n_heads, config_->n_kv_heads, config_->head_dim),
         fmt::format("{} of {}", tap.out.ne[1], tap.out.ne[0])});
  }
  const int32_t mode = row_->rope_style == RopeStyle::neox ? mode_neox : mode_norm;
  if (tap.params[rope_mode] != mode) {
    const auto name = [](int32_t m) {
      return m == mode_norm   ? "adjacent pairs (norm)"
             : m == mode_neox ? "halves (neox)"
                              : "another style";
    };
    faults.push_back({Cause::rope_style, "rope style", name(mode), name(tap.params[rope_mode])});
    tap.params[rope_mode] = mode;
  }
  expect_int(tap, rope_n_dims, rope.n_dims, Cause::rope_dims, "rotated dimensions", faults);
  expect_float(tap, rope_freq_base, rope.freq_base, Cause::rope_base, "rope base", faults);
  expect_float(tap, rope_freq_scale, rope.freq_scale, Cause::rope_scaling, "rope frequency scale",
               faults);
  expect_float(tap, rope_ext_factor, rope.ext_factor, Cause::rope_scaling, "YaRN mix", faults);
  if (rope.ext_factor != 0) {
    expect_float(tap, rope_beta_fast, rope.beta_fast, Cause::rope_scaling, "YaRN beta_fast",
                 faults);
    expect_float(tap, rope_beta_slow, rope.beta_slow, Cause::rope_scaling, "YaRN beta_slow",
                 faults);
  }
  // Frequency factors, one per pair: used exactly when the file has them.
  const TensorView* factors = model_->find_tensor("rope_freqs.weight");
  const bool used = tap.sources.size() > 2 && tap.sources[2].ne[0] > 0;
  if (factors != nullptr && !used) {
    faults.push_back({Cause::rope_freqs, "rope_freqs.weight", "divides the angles", "not used"});
    tap.sources.resize(3);
    tap.sources[2].name = "rope_freqs.weight";
    tap.sources[2].ne = {factors->shape[0], 1, 1, 1};
    tap.sources[2].is_weight = true;
  } else if (factors == nullptr && used && tap.sources[2].is_weight) {
    faults.push_back({Cause::rope_freqs, "frequency factors", "none in the model file",
                      "angles divided by " + tap.sources[2].name});
    tap.sources.resize(2);
  }
}

void Expectations::correct_attention(Tap& tap, std::vector<ParameterFault>& faults) const {
  const bool flash = tap.op == "FLASH_ATTN_EXT";
  const size_t mask_index = flash ? 3 : 1;
  if (!row_->one_rope) return;  // layers of several kinds: their windows and scales differ
  // Attention has a mask; a softmax without one chooses experts.
  if (tap.sources.size() <= mask_index || tap.sources[mask_index].ne[0] == 0) return;
  expect_float(tap, flash ? flash_scale : soft_max_scale, config_->kq_scale, Cause::attention_scale,
               "attention scale", faults);
  expect_float(tap, flash ? flash_bias : soft_max_bias, 0, Cause::attention_scale,
               "position bias (ALiBi)", faults);
  if (flash) expect_float(tap, flash_softcap, 0, Cause::softcap, "soft cap", faults);
  correct_mask(tap, tap.sources[mask_index], faults);
}

// Causal over everything so far: row i sees the keys 0 ... first_position + i. After a reset keys
// lie in the cache in the order of their positions.
void Expectations::correct_mask(Tap& tap, TapTensor& mask,
                                std::vector<ParameterFault>& faults) const {
  const bool half = mask.type == GgmlType::F16;
  const size_t width = half ? 2 : 4;
  const int64_t n_keys = mask.ne[0];
  const int64_t n_tokens = tap.op == "FLASH_ATTN_EXT" ? tap.out.ne[2] : tap.out.ne[1];
  if ((!half && mask.type != GgmlType::F32) || mask.ne[2] * mask.ne[3] != 1 ||
      mask.ne[1] < n_tokens ||
      mask.data.size() != static_cast<size_t>(n_keys * mask.ne[1]) * width) {
    return;
  }
  for (int64_t t = 0; t < n_tokens; ++t) {
    for (int64_t key = 0; key < n_keys; ++key) {
      std::byte* at = mask.data.data() + static_cast<size_t>(t * n_keys + key) * width;
      float value = 0;
      if (half) {
        uint16_t bits = 0;
        std::memcpy(&bits, at, sizeof bits);
        value = f16_to_f32(bits);
      } else {
        std::memcpy(&value, at, sizeof value);
      }
      const bool seen = key <= tap.first_position + t;
      if (seen ? value == 0 : value == -INFINITY) continue;
      if (faults.empty() || faults.back().cause != Cause::sliding_window) {
        faults.push_back({Cause::sliding_window, "the mask",
                          fmt::format("position {} {} position {}", tap.first_position + t,
                                      seen ? "sees" : "does not see", key),
                          fmt::format("a mask of {}", value)});
      }
      const float right = seen ? 0.0f : -INFINITY;
      const uint16_t right_half = seen ? 0 : 0xfc00;
      std::memcpy(at, half ? static_cast<const void*>(&right_half) : &right, width);
    }
  }
}

// The gate's activation, alone or in one operation with the product. relu^2 has no operation of
// its own in ggml: replay knows it under names of ours.
void Expectations::correct_activation(Tap& tap, std::vector<ParameterFault>& faults) const {
  struct Name {
    std::string_view op;
    const char* activation;
    bool is_glu;
  };
  static constexpr Name names[] = {
      {"SILU", "silu", false},
      {"GELU", "gelu", false},
      {"GELU_QUICK", "quick gelu", false},
      {"GELU_ERF", "exact gelu", false},
      {"SWIGLU", "silu", true},
      {"GEGLU", "gelu", true},
      {"REGLU", "relu", true},
      {"GEGLU_ERF", "exact gelu", true},
      {"GEGLU_QUICK", "quick gelu", true},
  };
  if (tap.layer < 0) return;
  for (const Name& name : names) {
    if (tap.op != name.op) continue;
    if (activation() == name.activation) return;
    faults.push_back({Cause::activation, "the activation", activation(), name.activation});
    switch (row_->activation) {
      case Activation::silu:
        tap.op = name.is_glu ? "SWIGLU" : "SILU";
        return;
      case Activation::gelu:
        tap.op = name.is_glu ? "GEGLU" : "GELU";
        return;
      case Activation::relu_squared:
        tap.op = name.is_glu ? "RELU_SQUARED_GLU" : "RELU_SQUARED";
        return;
    }
  }
}

std::vector<std::string> Expectations::unused_weights(const std::set<std::string>& used) const {
  std::vector<std::string> unused;
  if (!config_) return unused;
  for (const TensorView& tensor : model_->tensors()) {
    const std::string& name = tensor.name;
    if (used.contains(name) || name == "rope_freqs.weight") continue;  // see correct_rope
    if (name.starts_with("blk.") && std::atoi(name.c_str() + 4) >= config_->n_layers) continue;
    if (name == "token_embd.weight" || name.starts_with("blk.") || name.starts_with("output")) {
      unused.push_back(name);
    }
  }
  return unused;
}

}  // namespace crossval
