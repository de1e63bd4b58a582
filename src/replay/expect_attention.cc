// What a model file says of its attention: scale, soft cap, which positions a layer sees.
#include <cstring>

#include "base/half.h"
#include "replay/expect_parameter.h"

namespace crossval {
namespace {

// Positions in op_params (ggml.c: ggml_soft_max_impl, ggml_flash_attn_ext, ggml_scale_impl).
constexpr size_t kSoftMaxScale = 0, kSoftMaxBias = 1;
constexpr size_t kFlashScale = 0, kFlashBias = 1, kFlashSoftcap = 2;
constexpr size_t kScaleFactor = 0;

}  // namespace

void Expectations::expect_attention(const Tap& tap, Queries queries, Expected& expected) const {
  const bool flash = tap.op == "FLASH_ATTN_EXT";
  const size_t mask_index = flash ? 3 : 1;
  // Attention has a mask; a softmax without one chooses experts.
  if (tap.sources.size() <= mask_index || tap.sources[mask_index].ne[0] == 0) return;
  const float kq_scale =
      layer(tap.layer) != nullptr ? config_->kq_scale_of(tap.layer) : config_->kq_scale;
  const size_t scale_index = flash ? kFlashScale : kSoftMaxScale;
  bool is_scaled = arch_->scaled_queries && queries != Queries::unscaled;
  if (arch_->scaled_queries && queries == Queries::unknown) {
    is_scaled = !alike(as_float(expected.operation.params[scale_index]), kq_scale);
  }
  // Scores that are capped are scaled before.
  is_scaled = is_scaled || (!flash && config_->attn_softcap != 0 &&
                            alike(as_float(expected.operation.params[scale_index]), 1.0f));
  expect_float(expected, scale_index, is_scaled ? 1.0f : kq_scale, Cause::attention_scale,
               "attention scale");
  expect_float(expected, flash ? kFlashBias : kSoftMaxBias, config_->alibi_bias,
               Cause::attention_scale, "position bias (ALiBi)");
  if (flash)
    expect_float(expected, kFlashSoftcap, config_->attn_softcap, Cause::softcap, "soft cap");
  expect_mask(tap, mask_index, expected);
}

// Causal: row i sees the keys up to position first_position + i, in a windowed layer only so many
// of the latest (llama.cpp llama-hparams.h `is_masked_swa`). After a reset keys lie in the cache in
// the order of their positions, until a window's cache is full and begins anew.
void Expectations::expect_mask(const Tap& tap, size_t source, Expected& expected) const {
  const TapTensor& mask = tap.sources[source];
  std::vector<ParameterFault>& faults = expected.faults;
  const bool half = mask.type == GgmlType::F16;
  const size_t width = half ? 2 : 4;
  const int64_t n_keys = mask.ne[0];
  const int64_t n_tokens = tap.op == "FLASH_ATTN_EXT" ? tap.out.ne[2] : tap.out.ne[1];
  if ((!half && mask.type != GgmlType::F32) || mask.ne[2] * mask.ne[3] != 1 ||
      mask.ne[1] < n_tokens ||
      mask.data.size() != static_cast<size_t>(n_keys * mask.ne[1]) * width) {
    return;
  }
  if (tap.first_position + n_tokens > n_keys) return;
  // What an indexer chooses of more, replay does not know.
  const IndexerConfig& indexer = config_->indexer;
  if (indexer.n_seen != 0 && tap.first_position + n_tokens >= indexer.n_thinned()) return;
  const LayerConfig* sizes = layer(tap.layer);
  // Rows for several positions stand behind the positions.
  if (sizes != nullptr && sizes->ratio > 0) return;
  const int64_t window = sizes != nullptr && sizes->has_window ? config_->window_len : 0;
  if (!arch_->causal) return;
  for (int64_t t = 0; t < n_tokens; ++t) {
    const int64_t position = tap.first_position + t;
    const int64_t first = window == 0             ? 0
                          : arch_->window.chunked ? position / window * window
                                                  : position - window + 1;
    for (int64_t key = 0; key < n_keys; ++key) {
      const size_t offset = static_cast<size_t>(t * n_keys + key) * width;
      const std::byte* at = mask.data.data() + offset;
      float value = 0;
      if (half) {
        uint16_t bits = 0;
        std::memcpy(&bits, at, sizeof bits);
        value = f16_to_f32(bits);
      } else {
        std::memcpy(&value, at, sizeof value);
      }
      const bool seen = key >= first && key <= position;
      // With ALiBi a mask holds distances, up to what a half can.
      const float right = !seen                      ? -INFINITY
                          : config_->alibi_bias == 0 ? 0
                                                     : static_cast<float>(key - position);
      const bool is_near = seen && std::abs(value - right) <= 1e-3f * std::abs(right);
      if (value == right || is_near) continue;
      if (faults.empty() || faults.back().cause != Cause::sliding_window) {
        faults.push_back(
            {Cause::sliding_window, "the mask",
             fmt::format("position {} {} position {} ({})", position,
                         seen ? "sees" : "does not see", key,
                         window == 0 ? "no window here" : fmt::format("a window of {}", window)),
             fmt::format("a mask of {}", value)});
      }
      const uint16_t right_half = f32_to_f16(right);
      std::memcpy(expected.operation.sources[source].data.own().data() + offset,
                  half ? static_cast<const void*>(&right_half) : &right, width);
    }
  }
}

// Scales with a name of their own (llama.cpp llama-graph.cpp `build_attn_mha`,
// src/models/gemma*.cpp).
void Expectations::expect_scale(const Tap& tap, Expected& expected) const {
  const bool scales = arch_->embedding_by_width || config_->embedding_scale != 1;
  if (tap.name == "inp_scaled" && scales) {
    expect_float(expected, kScaleFactor, config_->embedding_scale, Cause::attention_scale,
                 "the scale of the embedding");
  } else if (tap.name.starts_with("Qcur-") && arch_->scaled_queries) {
    expect_float(expected, kScaleFactor, config_->kq_scale, Cause::attention_scale,
                 "attention scale");
  } else if (tap.name.starts_with("kq_scaled_1-") && config_->attn_softcap > 0) {
    expect_float(expected, kScaleFactor, 1.0f / config_->attn_softcap, Cause::softcap,
                 "soft cap (its inverse)");
  } else if (tap.name.starts_with("kq_scaled_2-") && config_->attn_softcap > 0) {
    expect_float(expected, kScaleFactor, config_->attn_softcap, Cause::softcap, "soft cap");
  } else if (tap.name.starts_with("kq_before_cap-")) {
    expect_float(expected, kScaleFactor, config_->kq_scale_of(tap.layer), Cause::attention_scale,
                 "attention scale");
  } else if (tap.name.starts_with("ffn_out_scaled-") ||
             (tap.name.starts_with("attn_out_scaled-") && config_->attention_factor == 1)) {
    expect_float(expected, kScaleFactor, config_->residual_scale, Cause::factor,
                 "the factor before the residual");
  } else if (tap.name == "logits_scaled" || tap.name == "logits_capped") {
    const bool capped = tap.name == "logits_capped";
    expect_float(expected, kScaleFactor, capped ? config_->final_softcap : config_->logit_scale,
                 capped ? Cause::softcap : Cause::factor,
                 capped ? "soft cap of the logits" : "the factor of the logits");
  }
}

// The same by a division (workers/hf): logits by their factor's inverse, or by their soft cap.
void Expectations::expect_divisor(const Tap& tap, Expected& expected) const {
  if (tap.name != "logits_scaled" || tap.sources.size() < 2) return;
  TapTensor& divisor = expected.operation.sources[1];
  if (divisor.floats().size() != 1) return;
  const bool caps = config_->final_softcap != 0;
  const float found = divisor.floats()[0];
  const float right = caps ? config_->final_softcap : 1 / config_->logit_scale;
  if (alike(found, right) || alike(found * config_->logit_scale, 1)) return;
  expected.faults.push_back({caps ? Cause::softcap : Cause::factor,
                             caps ? "soft cap of the logits" : "what divides the logits",
                             fmt::format("{:.6g}", right), fmt::format("{:.6g}", found)});
  std::memcpy(divisor.data.own().data(), &right, sizeof right);
}

}  // namespace crossval
