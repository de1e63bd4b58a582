#include "native/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crossval {
namespace {

// The dimension at which `n_rotations` full turns fit into the original context (YaRN, eq. 17 and
// llama.cpp `ggml_rope_yarn_corr_dim`).
float correction_dim(const RopeConfig& rope, float n_rotations) {
  const float pi = std::numbers::pi_v<float>;
  return static_cast<float>(rope.n_dims) *
         std::log(static_cast<float>(rope.n_ctx_orig) / (n_rotations * 2 * pi)) /
         (2 * std::log(rope.freq_base));
}

}  // namespace

namespace {

// Whether text stands still in this pair's section: the first three move with the position, the
// fourth (and what no section covers) stays at 0 (ggml-cpu/ops.cpp `ggml_mrope_cache_init`,
// llama.cpp `llm_graph_input_pos::set_input`).
bool is_still(const RopeConfig& rope, int pair) {
  const auto& [time, height, width, other] = rope.sections;
  const int all = time + height + width + other;
  if (all == 0) return false;
  const int sector = pair % all;
  if (rope.style == RopeStyle::multi) return sector >= time + height + width;
  if (rope.style != RopeStyle::interleaved) return false;
  return sector >= 3 * (sector % 3 == 0 ? time : sector % 3 == 1 ? height : width);
}

}  // namespace

RopeTable make_rope_table(const RopeConfig& rope, const VectorWeight* freq_factors,
                          int first_position, int n_tokens) {
  RopeTable table;
  table.n_pairs = rope.n_dims / 2;
  const size_t size = static_cast<size_t>(table.n_pairs) * static_cast<size_t>(n_tokens);
  table.cos.resize(size);
  table.sin.resize(size);
  const float theta_scale = std::pow(rope.freq_base, -2.0f / static_cast<float>(rope.n_dims));
  float low = 0, high = 0, magnitude = rope.attn_factor;
  if (rope.ext_factor != 0.0f) {
    low = std::max(0.0f, std::floor(correction_dim(rope, rope.beta_fast)));
    high = std::min(static_cast<float>(rope.n_dims - 1),
                    std::ceil(correction_dim(rope, rope.beta_slow)));
    magnitude *= 1.0f + 0.1f * std::log(1.0f / rope.freq_scale);
  }
  size_t at = 0;
  for (int token = 0; token < n_tokens; ++token) {
    float theta = static_cast<float>(first_position + token);
    for (int pair = 0; pair < table.n_pairs; ++pair, ++at) {
      const bool scaled = freq_factors != nullptr && !freq_factors->empty();
      const float factor = scaled ? (*freq_factors)[static_cast<size_t>(pair)] : 1.0f;
      const float extrapolated = theta / factor;
      float angle = rope.freq_scale * extrapolated;
      if (rope.ext_factor != 0.0f) {
        const float ramp = (static_cast<float>(pair) - low) / std::max(0.001f, high - low);
        const float mix = (1.0f - std::min(1.0f, std::max(0.0f, ramp))) * rope.ext_factor;
        angle = angle * (1 - mix) + extrapolated * mix;
      }
      if (is_still(rope, pair)) angle = 0;
      table.cos[at] = std::cos(angle) * magnitude;
      table.sin[at] = std::sin(angle) * magnitude;
      theta *= theta_scale;
    }
  }
  return table;
}

void rotate_head(const RopeTable& table, RopeStyle style, int64_t token, float* head) {
  const float* cos = table.cos.data() + token * table.n_pairs;
  const float* sin = table.sin.data() + token * table.n_pairs;
  const int step = style == RopeStyle::norm ? 2 : 1;               // first element of each pair
  const int apart = style == RopeStyle::norm ? 1 : table.n_pairs;  // to its partner
  for (int pair = 0; pair < table.n_pairs; ++pair) {
    float& a = head[pair * step];
    float& b = head[pair * step + apart];
    const float a0 = a, b0 = b;
    a = a0 * cos[pair] - b0 * sin[pair];
    b = a0 * sin[pair] + b0 * cos[pair];
  }
}

}  // namespace crossval
