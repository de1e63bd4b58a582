// ADD, SUB, MUL, DIV (the second source repeats over the first), SCALE, CLAMP: one rounding each,
// so the result is the expected one or its neighbour. FILL: one value everywhere. ARANGE:
// evenly spaced values.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "replay/families.h"

namespace crossval {
namespace {

// One rounding by the engine and one of `expected` to f32: at most 2 halves of a unit, sigma 0.5
// of one (allowed: 2.5 for one element, 1 in the mean).
constexpr double kSigma = 0.5 * kUnit32;

template <typename F>
bool binary(Inputs& in, int variant, Recomputed& out, const F& f) {
  if (variant > 0) return false;
  const TapTensor &a = in.source(0), &b = in.source(1);
  require_shape(a.ne == in.out().ne, "the result has another shape than the first source");
  for (size_t d = 0; d < 4; ++d) {
    require_shape(b.ne[d] > 0 && a.ne[d] % b.ne[d] == 0, "the second source does not repeat");
  }
  const std::span<const float> x = in.floats(0), y = in.floats(1);
  out.resize(a.n_elements());
  in.pool().run(a.n_rows(), [&](int64_t r, int) {
    const int64_t i1 = r % a.ne[1], i2 = r / a.ne[1] % a.ne[2], i3 = r / a.ne[1] / a.ne[2];
    const int64_t other =
        ((i3 % b.ne[3] * b.ne[2] + i2 % b.ne[2]) * b.ne[1] + i1 % b.ne[1]) * b.ne[0];
    for (int64_t i = 0; i < a.ne[0]; ++i) {
      const double value = f(double{x[static_cast<size_t>(r * a.ne[0] + i)]},
                             double{y[static_cast<size_t>(other + i % b.ne[0])]});
      out.set(r * a.ne[0] + i, value, kSigma * std::fabs(value));
    }
  });
  return true;
}

void fill(const Inputs& in, double value, Recomputed& out) {
  out.resize(in.out().n_elements());
  for (int64_t i = 0; i < in.out().n_elements(); ++i) out.set(i, value, 0);
}

}  // namespace

bool replay_add(Inputs& in, int variant, Recomputed& out) {
  return binary(in, variant, out, [](double x, double y) { return x + y; });
}

bool replay_sub(Inputs& in, int variant, Recomputed& out) {
  return binary(in, variant, out, [](double x, double y) { return x - y; });
}

bool replay_mul(Inputs& in, int variant, Recomputed& out) {
  return binary(in, variant, out, [](double x, double y) { return x * y; });
}

bool replay_div(Inputs& in, int variant, Recomputed& out) {
  return binary(in, variant, out, [](double x, double y) { return x / y; });
}

// Parameters: 0 scale, 1 bias (always 0 in engines before 2025).
bool replay_scale(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  require_shape(in.source(0).ne == in.out().ne, "scaling keeps the shape");
  const double scale = in.param_f32(0), bias = in.param_f32(1);
  const std::span<const float> x = in.floats(0);
  out.resize(in.out().n_elements());
  for (size_t i = 0; i < x.size(); ++i) {
    const double product = x[i] * scale;
    const double y = product + bias;
    // With a bias the product may be rounded before the sum, or not.
    out.set(static_cast<int64_t>(i), y,
            kSigma * (std::fabs(y) + (bias != 0 ? std::fabs(product) : 0)));
  }
  return true;
}

bool replay_clamp(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  require_shape(in.source(0).ne == in.out().ne, "clamping keeps the shape");
  const double low = in.param_f32(0), high = in.param_f32(1);
  if (low == high) {  // how a tensor that nobody has written is filled: there is nothing to read
    fill(in, low, out);
    return true;
  }
  const std::span<const float> x = in.floats(0);
  const TapValues of_out(in.out());
  out.resize(in.out().n_elements());
  for (size_t i = 0; i < x.size(); ++i) {
    // What comparisons make of NaN is any engine's own affair, and whose the NaN is was said
    // before.
    const double y =
        std::isnan(x[i]) ? of_out.get()[i] : std::max(std::min(double{x[i]}, high), low);
    out.set(static_cast<int64_t>(i), y, 0);
  }
  return true;
}

// Parameter: 0 the value. The source only lends its shape.
bool replay_fill(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  require_shape(in.source(0).ne == in.out().ne, "filling keeps the shape");
  fill(in, in.param_f32(0), out);
  return true;
}

// Parameters: 0 first, 1 behind the last, 2 step.
bool replay_arange(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const double first = in.param_f32(0), end = in.param_f32(1), step = in.param_f32(2);
  const double n = std::ceil((end - first) / step);
  require_shape(in.out().n_rows() == 1 && static_cast<double>(in.out().ne[0]) == n,
                "the result is not as long as its parameters say");
  out.resize(in.out().n_elements());
  for (int64_t i = 0; i < in.out().ne[0]; ++i) {
    const double product = step * static_cast<double>(i), value = first + product;
    out.set(i, value, kSigma * (std::fabs(value) + std::fabs(product)));
  }
  return true;
}

}  // namespace crossval
