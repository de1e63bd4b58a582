// MUL_MAT. The sums run through the engine's own rounding of activations (quant/activations), so
// that nothing is left between right and wrong but the order of f32 additions.
//
// sigma, per result: kUnit32 * (kSpread * |w| * |x| + 0.6 * sqrt(additions in a row) * |y|).
// First part: partial sums of terms without a common sign walk at random; added up in chains of
// n / 32 they err by about |w||x| / 8, whatever n is, and by |w||x| / 6 where an outlier of the
// activations dominates; our own chains of up to 128 by as much again. Second part: terms of one
// sign, whose partial sums grow steadily to y.
//
// Measured, ratio to the bound (SmolLM2-135M, all matrices, 12 to 96 ids, llama.cpp v0.5.0 in its
// CPU variants x64, sse42, sandybridge and haswell, repacked or not, and b3889; 1 = bound):
// largest on clean taps Q4_1 0.34, Q8_0 0.31, Q4_0 0.25, Q5_0 0.27, IQ4_NL 0.19, Q3_K 0.20,
// Q4_K 0.14, Q6_K 0.31, F16 0.60, F32 0.59, queries times keys 0.28. Smallest of the faults, 16
// ids: one code of Q4_1 441, Q4_0 617, Q8_0 301, Q4_K 610, Q6_K 310; the last bit of one block's
// scale Q4_1 12 (down projection, whose inputs have outliers) and 46, Q4_0 13, Q8_0 18 and 41, Q4_K
// 61; the last bit of one F16 weight 7; an F32 matrix x 1.001 620.
//
// The same of made-up models (512 wide, 1 to 96 ids; zen4 and ik_llama.cpp too): IQ1_S 0.15, IQ1_M
// 0.14, IQ2_XXS, IQ2_XS and IQ3_S 0.20, IQ2_S 0.17, IQ3_XXS 0.09 (without ik, whose product is
// wrong), NVFP4 0.12. Smallest of the faults: one point of a grid 3700, one code of NVFP4 4300; the
// last bit of one block's scale 66. Of ik_llama.cpp's own types (5 to 64 ids, AVX2): Q8_0_R8,
// IQ1_BN and IQ2_BN 0, Q6_K_R4 0.20, IQ2_BN_R4 0.44, all others 0.06 to 0.16 (IQ4_KSS and IQ5_KS at
// 32 ids or more: at fewer their sums saturate). Smallest of the faults, 5 ids: one bit of a code
// of Q6_K_R4 258, Q6_0 341, IQ5_K 424, IQ4_K 572; the last bit of one block's scale IQ4_K 87.
//
#include "replay/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/half.h"
#include "replay/families.h"
#include "replay/ik_weights.h"
#include "replay/row_norms.h"
#include "replay/weight_rounding.h"

namespace crossval {
namespace {

constexpr double kSpread = 0.35;

// Other roundings to blocks of 32 than the SIMD one that prepare_activations knows.
enum class Rounding {
  reference,  // ggml-quants.c `quantize_row_q8_0_ref`, `_q8_1_ref`: factor 1 / (amax / 127), halves
              // away from zero
  q8_2        // ik_llama.cpp, iqk_quantize.cpp `quantize_row_q8_2_x4`: the scale is a bf16, the
              // factor its reciprocal; for every integer weight type but I2_S and its own
};

// Codes of a block in place of those that prepare_activations gave: code_of(value), each; then
// keep(index of the sub-block's scales, sum of its codes).
template <typename CodeOf, typename Keep>
void code_again(const float* values, int64_t t, int64_t first, int64_t length,
                PreparedActivations& prepared, const CodeOf& code_of, const Keep& keep) {
  int8_t* codes = prepared.codes.data() + t * prepared.row_len + first;
  for (int64_t begin = 0; begin < length; begin += prepared.sub_block_len) {
    int32_t sum = 0;
    for (int64_t i = begin; i < begin + prepared.sub_block_len; ++i) {
      codes[i] = static_cast<int8_t>(code_of(values[i]));
      sum += codes[i];
    }
    const auto at =
        static_cast<size_t>((first + begin) / prepared.sub_block_len * prepared.n_tokens + t);
    prepared.sums[at] = prepared.offset * sum;
    keep(at, sum);
  }
}

void round_again(const float* x, int64_t x_stride, const Format& format, Rounding rounding,
                 PreparedActivations& prepared, ThreadPool& pool) {
  constexpr int64_t kBlock = 32;
  pool.run(prepared.n_tokens, [&](int64_t t, int) {
    for (int64_t first = 0; first < prepared.row_len; first += kBlock) {
      const float* values = x + t * x_stride + first;
      float amax = 0;
      bool is_finite = true;
      for (int64_t i = 0; i < kBlock; ++i) {
        amax = std::max(amax, std::fabs(values[i]));
        is_finite = is_finite && std::isfinite(values[i]);
      }
      if (!is_finite) continue;  // the codes are zeros, the scale is NaN already
      const bool is_q8_2 = rounding == Rounding::q8_2;
      const float d = is_q8_2 ? bf16_to_f32(f32_to_bf16(amax / 127.0f)) : amax / 127.0f;
      const float factor = d != 0.0f ? 1.0f / d : 0.0f;
      code_again(
          values, t, first, kBlock, prepared,
          [&](float value) {
            const float scaled = std::isfinite(factor) ? value * factor : 0.0f;
            const float code = is_q8_2 ? std::nearbyint(scaled) : std::round(scaled);
            return std::clamp(code, -127.0f, 127.0f);
          },
          [&](size_t at, int32_t sum) {
            const float s = d * static_cast<float>(sum);
            if (is_q8_2) prepared.d[at] = d;
            prepared.s[at] = !format.has_min ? 0.0f : is_q8_2 ? s : f16_to_f32(f32_to_f16(s));
          });
    }
  });
}

// Q8_K where the compiler contracts ggml-quants.c `nearest_int(iscale*x)` to one operation (b3889
// on CPUs with FMA): the product is not rounded before it becomes an integer, which tells at ties.
void fuse_q8_k(const float* x, int64_t x_stride, PreparedActivations& prepared, ThreadPool& pool) {
  constexpr int64_t kBlock = 256;
  pool.run(prepared.n_tokens, [&](int64_t t, int) {
    for (int64_t first = 0; first < prepared.row_len; first += kBlock) {
      const float* values = x + t * x_stride + first;
      float max = 0;
      bool is_finite = true;
      for (int64_t i = 0; i < kBlock; ++i) {
        is_finite = is_finite && std::isfinite(values[i]);
        if (std::fabs(values[i]) > std::fabs(max)) max = values[i];
      }
      const float factor = -127.0f / max;
      if (!is_finite || !std::isfinite(factor)) continue;  // the codes are zeros
      code_again(
          values, t, first, kBlock, prepared,
          [&](float value) {
            return std::clamp(std::nearbyint(double{factor} * value), -128.0, 127.0);
          },
          [&](size_t at, int32_t sum) {
            prepared.s[at] = prepared.d[at] * static_cast<float>(sum);
          });
    }
  });
}

double dot(const float* w, const float* x, int64_t n) {
  double lanes[8] = {};
  int64_t k = 0;
  for (; k + 8 <= n; k += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) lanes[lane] += double{w[k + lane]} * x[k + lane];
  }
  for (; k < n; ++k) lanes[k % 8] += double{w[k]} * x[k];
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
         ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

void multiply_in_double(const Product& p, const PreparedActivations& x, ThreadPool& pool) {
  constexpr int64_t kRowsPerItem = 16;
  pool.run((p.w.n_rows + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item, int) {
    std::vector<float> row(static_cast<size_t>(p.w.row_len));
    const int64_t end = std::min(p.w.n_rows, (item + 1) * kRowsPerItem);
    for (int64_t r = item * kRowsPerItem; r < end; ++r) {
      get_row(p.w, r, row.data());
      for (int64_t t = 0; t < p.n_tokens; ++t) {
        p.y[t * p.y_stride + r] =
            static_cast<float>(dot(row.data(), x.x + t * x.x_stride, p.w.row_len));
      }
    }
  });
}

// As many ids as there are decide: of a mixture's experts some may meet many, others few.
void multiply_as_ik(const Product& p, const IkConversion& ik, ThreadPool& pool) {
  std::vector<std::byte> stored;
  Product other = p;
  if (p.n_tokens >= ik.n_ids) other.w = ik_converted(p.w, stored, pool);
  int variant = 0;
  while (std::string_view(product_arithmetic(*other.w.format, variant)) != ik.activations)
    ++variant;
  multiply(other, variant, pool);
}

}  // namespace

const char* product_arithmetic(const Format& format, int variant) {
  switch (format.activation) {
    case ActivationType::F32:
      return variant == 0 ? "f32" : nullptr;
    case ActivationType::F16:
      return variant == 0 ? "f16" : variant == 1 ? "f32" : nullptr;
    case ActivationType::BF16:
      return variant == 0 ? "bf16" : variant == 1 ? "f32" : nullptr;
    case ActivationType::Q8_0:
      return variant == 0   ? "q8_0"
             : variant == 1 ? "q8_0 reference"
             : variant == 2 ? "q8_2"
             : variant == 3 ? "f32"
                            : nullptr;
    case ActivationType::Q8_1:
      return variant == 0   ? "q8_1"
             : variant == 1 ? "q8_1 reference"
             : variant == 2 ? "q8_2"
             : variant == 3 ? "f32"
                            : nullptr;
    case ActivationType::Q8_K:
      if (variant == 4) {
        const IkConversion* conversion = find_ik_conversion(format.type);
        return conversion == nullptr ? nullptr : conversion->arithmetic;
      }
      return variant == 0   ? "q8_K"
             : variant == 1 ? "q8_2"
             : variant == 2 ? "f32"
             : variant == 3 ? "q8_K fused"
                            : nullptr;
    case ActivationType::I8_ROW:
      return variant == 0 ? "int8 per row" : variant == 1 ? "f32" : nullptr;
    case ActivationType::I8_FOUR:
    case ActivationType::I8_FOUR_16:
      return variant == 0 ? "int8, four scales a row" : variant == 1 ? "f32" : nullptr;
  }
  return nullptr;
}

void multiply(const Product& p, int variant, ThreadPool& pool) {
  const Format& format = *p.w.format;
  const std::string_view arithmetic = product_arithmetic(format, variant);
  if (const IkConversion* ik = find_ik_conversion(format.type);
      ik && arithmetic == ik->arithmetic) {
    multiply_as_ik(p, *ik, pool);
    return;
  }
  const bool is_exact = arithmetic == "f32" || p.before_rounding;
  thread_local PreparedActivations prepared;
  prepare_activations(p.x, p.x_stride, p.n_tokens, p.w.row_len, format,
                      is_exact ? Numerics::exact : Numerics::ggml, prepared, pool);
  const bool is_q8_2 = arithmetic == "q8_2";
  if (is_q8_2 || arithmetic.ends_with(" reference")) {
    round_again(p.x, p.x_stride, format, is_q8_2 ? Rounding::q8_2 : Rounding::reference, prepared,
                pool);
  }
  if (arithmetic == "q8_K fused") fuse_q8_k(p.x, p.x_stride, prepared, pool);
  const bool in_double = p.in_double && prepared.sub_block_len == 0 && !format.has_tensor_scale;
  if (in_double) {
    multiply_in_double(p, prepared, pool);
  } else {
    matmul(p.w, prepared, p.y, p.y_stride, pool);
  }

  const bool is_integer = format.activation == ActivationType::I8_ROW && !is_exact;
  // Additions in a row: 32 weights at once in most kernels, 16 without AVX; our own chains of 128.
  const double chain = std::sqrt(static_cast<double>(p.w.row_len) / 16 + 32) * 0.6;
  pool.run(p.n_tokens, [&](int64_t t, int) {
    const double x_norm = norm(p.x + t * p.x_stride, p.w.row_len);
    const double spread = is_integer ? 0 : kUnit32 * kSpread * x_norm;
    const double steady = is_integer ? kUnit32 * 2 : kUnit32 * chain;
    for (int64_t r = 0; r < p.w.n_rows; ++r) {
      p.sigma[t * p.y_stride + r] =
          static_cast<float>(spread * double{p.w_norms[static_cast<size_t>(r)]} +
                             steady * std::fabs(p.y[t * p.y_stride + r]));
    }
  });
  if (p.before_rounding) add_weight_rounding(p, pool);
}

// A third source is added to every row (torch's linear): one rounding more.
void add_bias(Inputs& in, Recomputed& out) {
  const TapTensor& y = in.out();
  require_shape(in.source(2).n_elements() == y.ne[0], "the bias is no row of the result");
  const std::span<const float> bias = in.floats(2);
  for (size_t i = 0; i < out.expected.size(); ++i) {
    const double sum = double{out.expected[i]} + bias[i % bias.size()];
    out.expected[i] = static_cast<float>(sum);
    out.sigma[i] += static_cast<float>(0.5 * kUnit32 * std::fabs(sum));
  }
}

bool replay_mul_mat(Inputs& in, int variant, Recomputed& out) {
  const TapTensor &a = in.source(0), &b = in.source(1), &y = in.out();
  require_shape(a.ne[0] > 0 && a.ne[0] == b.ne[0] && y.ne[0] == a.ne[1] && y.ne[1] == b.ne[1] &&
                    y.ne[2] == b.ne[2] && y.ne[3] == b.ne[3] && a.ne[2] > 0 && a.ne[3] > 0 &&
                    b.ne[2] % a.ne[2] == 0 && b.ne[3] % a.ne[3] == 0,
                "the matrices do not fit each other");
  const WeightView all = in.matrix(0);
  require_shape(a.ne[0] % all.format->block_len == 0, "rows are no whole number of blocks");
  out.arithmetic = product_arithmetic(*all.format, variant);
  if (out.arithmetic == nullptr) return false;
  const bool before_rounding = in.is_before_rounding(0);
  if (before_rounding && variant > 0) return false;
  if (before_rounding) out.arithmetic = "f32, weights before their rounding";
  const std::span<const float> x = in.floats(1);
  const std::vector<float> norms = in.row_norms(0);
  out.resize(y.n_elements());
  // Where several of the second matrix meet one of the first (heads that share keys), and lie side
  // by side, they are multiplied as one.
  const int64_t shared = b.ne[2] / a.ne[2];
  const int64_t n_slices = b.ne[3] * a.ne[2];
  for (int64_t slice = 0; slice < n_slices; ++slice) {
    const int64_t i3 = slice / a.ne[2], a2 = slice % a.ne[2];
    const int64_t a_slice = i3 / (b.ne[3] / a.ne[3]) * a.ne[2] + a2;
    const int64_t first = (i3 * b.ne[2] + a2 * shared) * b.ne[1];
    WeightView w = all;
    w.n_rows = a.ne[1];
    w.data += a_slice * a.ne[1] * w.row_bytes;
    multiply({.w = w,
              .w_norms = std::span(norms).subspan(static_cast<size_t>(a_slice * a.ne[1])),
              .x = x.data() + first * a.ne[0],
              .x_stride = a.ne[0],
              .n_tokens = shared * b.ne[1],
              .y = out.expected.data() + first * y.ne[0],
              .sigma = out.sigma.data() + first * y.ne[0],
              .y_stride = y.ne[0],
              .in_double = !a.is_weight,
              .before_rounding = before_rounding},
             variant, in.pool());
  }
  if (in.has(2)) add_bias(in, out);
  return true;
}

}  // namespace crossval
