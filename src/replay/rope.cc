// ROPE and ROPE_BACK, the rotation the other way (ggml-cpu/ops.cpp
// `ggml_compute_forward_rope_flt`). Angles follow ggml's own recurrence in
// f32 (theta *= base^(-2/n_dims) per pair), which is part of what the engine computes: at position
// 2,000 an exact angle is already another one. What may differ is the last bit of powf, carried
// along the pairs, and of sines, cosines and products.
//
// Parameters: 1 n_dims, 2 mode, 4 original context, 5 base, 6 scale, 7 extrapolation, 8 magnitude,
// 9 beta_fast, 10 beta_slow, 11..14 sections, 15 offset of the rotated part (0 in older engines).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <span>
#include <vector>

#include "replay/families.h"

namespace crossval {
namespace {

// ggml.h `GGML_ROPE_TYPE_*`
constexpr int kNormal = 0, kNeox = 2, kMrope = 8, kVision = 24, kImrope = 40;

struct Rope {
  int64_t n_dims;
  int mode;
  float freq_scale, ext_factor, attn_factor, theta_scale;
  std::array<float, 2> corr_dims;
  std::array<int64_t, 4> sections;
  std::span<const float> freq_factors;
};

struct Angle {
  double cos, sin;
  double error;  // relative to the length of the pair
};

// ggml.c `ggml_rope_yarn_corr_dims`
std::array<float, 2> yarn_corr_dims(int64_t n_dims, int n_ctx_orig, float base, float beta_fast,
                                    float beta_slow) {
  const auto dim = [&](float n_rot) {
    return static_cast<float>(n_dims) *
           std::log(static_cast<float>(n_ctx_orig) / (n_rot * 2 * std::numbers::pi_v<float>)) /
           (2 * std::log(base));
  };
  return {std::max(0.0f, std::floor(dim(beta_fast))),
          std::min(static_cast<float>(n_dims - 1), std::ceil(dim(beta_slow)))};
}

Angle angle_of(const Rope& rope, float theta, int64_t pair) {
  const float factor =
      rope.freq_factors.empty() ? 1.0f : rope.freq_factors[static_cast<size_t>(pair)];
  const float extrapolated = theta / factor;
  const float interpolated = rope.freq_scale * extrapolated;
  float angle = interpolated;
  float magnitude = rope.attn_factor;
  if (rope.ext_factor != 0.0f) {
    const float y = (static_cast<float>(pair) - rope.corr_dims[0]) /
                    std::max(0.001f, rope.corr_dims[1] - rope.corr_dims[0]);
    const float mix = (1 - std::min(1.0f, std::max(0.0f, y))) * rope.ext_factor;
    angle = interpolated * (1 - mix) + extrapolated * mix;
    magnitude *= 1.0f + 0.1f * std::log(1.0f / rope.freq_scale);
  }
  // The recurrence itself is repeated bit by bit; a base^(-2/n) that is off by one unit moves the
  // angle of pair k by k units, and contracted products of the mix by one or two.
  const double drift = std::fabs(double{angle}) * kUnit32 *
                       (0.5 * static_cast<double>(pair) + (rope.ext_factor != 0.0f ? 2.0 : 0.0));
  return {std::cos(double{angle}) * magnitude, std::sin(double{angle}) * magnitude,
          (drift + 1.2 * kUnit32) * std::fabs(magnitude)};
}

// The angles of one token; positions: t, h, w, e for the modes with sections, else only t.
void angles_of_token(const Rope& rope, const std::array<float, 4>& positions,
                     std::vector<Angle>& angles) {
  std::array<float, 4> theta = positions;
  const auto& s = rope.sections;
  const bool has_sections = (rope.mode & kMrope) != 0;
  const int64_t all = s[0] + s[1] + s[2] + s[3];
  for (size_t pair = 0; pair < angles.size(); ++pair) {
    int64_t which = 0;
    if (has_sections) {
      const int64_t sector = static_cast<int64_t>(pair) % all;
      const std::array<int64_t, 4> start = {0, s[0], s[0] + s[1], s[0] + s[1] + s[2]};
      if (rope.mode == kVision) {  // each section counts its pairs from 0
        for (size_t k = 0; k < 4; ++k) {
          if (sector == start[k]) {
            theta[k] = positions[k];
            break;
          }
        }
      }
      if (rope.mode == kImrope) {
        const int64_t k = sector % 3;
        which = sector < 3 * s[static_cast<size_t>(k)] ? k : 3;
      } else {
        which = sector < start[1] ? 0 : sector < start[2] ? 1 : sector < start[3] ? 2 : 3;
      }
    }
    angles[pair] = angle_of(rope, theta[static_cast<size_t>(which)], static_cast<int64_t>(pair));
    for (float& one : theta) one *= rope.theta_scale;
  }
}

}  // namespace

bool replay_rope(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  require_shape(x.ne == in.out().ne, "rope keeps the shape");
  const int64_t n_dims = in.param_i32(1), offset = in.param_i32(15);
  const int mode = in.param_i32(2);
  const int64_t row_len = x.ne[0];
  require_shape(
      n_dims > 0 && n_dims % 2 == 0 && offset >= 0 && offset % 2 == 0 && n_dims <= row_len - offset,
      "the rotated part does not fit the row");
  if (mode != kNormal && mode != kNeox && mode != kMrope && mode != kVision && mode != kImrope) {
    throw Unreplayable{ReplayStatus::unknown_op, "rope mode " + std::to_string(mode)};
  }
  Rope rope{.n_dims = n_dims,
            .mode = mode,
            .freq_scale = in.param_f32(6),
            .ext_factor = in.param_f32(7),
            .attn_factor = in.param_f32(8),
            .theta_scale = std::pow(in.param_f32(5), -2.0f / static_cast<float>(n_dims)),
            .corr_dims = yarn_corr_dims(n_dims, in.param_i32(4), in.param_f32(5), in.param_f32(9),
                                        in.param_f32(10)),
            .sections = {in.param_i32(11), in.param_i32(12), in.param_i32(13), in.param_i32(14)},
            .freq_factors = {}};
  const bool has_sections = (mode & kMrope) != 0, is_back = in.operation().op == "ROPE_BACK";
  const int64_t n_sectors =
      rope.sections[0] + rope.sections[1] + rope.sections[2] + rope.sections[3];
  require_shape(!has_sections || (n_sectors > 0 && *std::min_element(rope.sections.begin(),
                                                                     rope.sections.end()) >= 0),
                "the sections make no sense");
  require_shape(mode != kVision || (n_dims == row_len / 2 && offset == 0),
                "vision rope rotates whole rows");
  // In vision mode the pairs span the whole row, each with its partner n_dims behind.
  const int64_t n_pairs = mode == kVision ? row_len / 2 : n_dims / 2;
  if (in.has(2)) {
    rope.freq_factors = in.floats(2);
    require_shape(static_cast<int64_t>(rope.freq_factors.size()) >= n_pairs,
                  "too few frequency factors");
  }
  const std::vector<int64_t> positions = in.indices(1);
  const int64_t n_tokens = x.ne[2];
  require_shape(static_cast<int64_t>(positions.size()) >= n_tokens * (has_sections ? 4 : 1),
                "there are fewer positions than tokens");
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  const int64_t partner = mode == kNormal ? 1 : mode == kVision ? n_dims : n_dims / 2;
  const int64_t step = mode == kNormal ? 2 : 1;
  in.pool().run(n_tokens * x.ne[3], [&](int64_t item, int) {
    const int64_t token = item % n_tokens;
    std::array<float, 4> at = {};
    for (int64_t k = 0; k < (has_sections ? 4 : 1); ++k) {
      at[static_cast<size_t>(k)] =
          static_cast<float>(positions[static_cast<size_t>(k * n_tokens + token)]);
    }
    std::vector<Angle> angles(static_cast<size_t>(n_pairs));
    angles_of_token(rope, at, angles);
    for (int64_t head = 0; head < x.ne[1]; ++head) {
      const int64_t row = (item * x.ne[1] + head) * row_len;
      for (int64_t i = 0; i < row_len; ++i) {
        out.set(row + i, values[static_cast<size_t>(row + i)], 0);
      }
      for (int64_t pair = 0; pair < n_pairs; ++pair) {
        const Angle& angle = angles[static_cast<size_t>(pair)];
        const double sin = is_back ? -angle.sin : angle.sin;
        const int64_t i0 = row + offset + pair * step, i1 = i0 + partner;
        const double x0 = values[static_cast<size_t>(i0)], x1 = values[static_cast<size_t>(i1)];
        const double error = angle.error * std::hypot(x0, x1);
        out.set(i0, x0 * angle.cos - x1 * sin, error);
        out.set(i1, x0 * sin + x1 * angle.cos, error);
      }
    }
  });
  return true;
}

}  // namespace crossval
