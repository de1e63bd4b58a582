// Hypotheses about what known kernels do to sums and bytes. Each is computed; none is held by a
// name.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "base/half.h"
#include "quant/activations.h"
#include "quant/format_rows.h"
#include "quant/i2_s_wraps.h"
#include "quant/ik_steps.h"
#include "replay/causes.h"

namespace crossval {
namespace {

// The weight of a product.
std::optional<WeightView> weight_of_product(const Operation& product, const WeightSource& weights) {
  if (product.op != "MUL_MAT" || product.sources.size() < 2 || !product.sources[0].is_weight) {
    return std::nullopt;
  }
  const TensorView* tensor = weights.find(product.sources[0].name);
  if (tensor == nullptr || find_format(tensor->type) == nullptr) return std::nullopt;
  const WeightView w = weight_view(*tensor);
  if (w.row_len != product.sources[1].ne[0]) return std::nullopt;
  return w;
}

// What the kernel that from_saturation knows makes of a product.
struct SaturatedProduct {
  std::vector<float> values;  // [token][row]
  int64_t n_saturated = 0;    // of them, and the first
  int64_t token = -1, row = -1;
};

// Types whose kernels so multiply them. Of two tables of steps these look up the first one, and
// what the second one differs by is added apart.
struct SaturatingType {
  GgmlType type;
  std::span<const uint8_t> first_table;  // empty: there is but one
  int moved_by;
};
constexpr SaturatingType kSaturatingTypes[] = {
    {GgmlType::IQ4_XS, {}, 0},
    {GgmlType::IQ4_KSS, std::span(kIk4Codes).first(kIk4Codes.size() / 2), 4},
    {GgmlType::IQ5_KS, std::span(kIk5Codes).first(kIk5Codes.size() / 2), 2},
};

// What the kernel adds apart to codes that begin so: no step is in both tables.
int moved_by(const SaturatingType& type, uint8_t code) {
  const bool is_first = type.first_table.empty() ||
                        std::ranges::find(type.first_table, code) != type.first_table.end();
  return is_first ? 0 : type.moved_by;
}

struct SaturatedSum {
  double value = 0;
  bool is_saturated = false;
};

// Codes carry the offset, as the kernel has them.
SaturatedSum saturated_sum(const SaturatingType& type, const uint8_t* codes, const float* d,
                           const PreparedActivations& x, int64_t token) {
  SaturatedSum out;
  const int8_t* of_x = x.codes.data() + token * x.row_len;
  for (int64_t sub = 0; sub < x.row_len / x.sub_block_len; ++sub) {
    int64_t sum = 0;
    const int moved = moved_by(type, codes[sub * x.sub_block_len]);
    for (int64_t i = sub * x.sub_block_len; i < (sub + 1) * x.sub_block_len; i += 2) {
      const int pair = (codes[i] - moved) * of_x[i] + (codes[i + 1] - moved) * of_x[i + 1];
      const int kept = std::clamp(pair, -32768, 32767);
      out.is_saturated = out.is_saturated || kept != pair;
      sum += kept - (x.offset - moved) * (of_x[i] + of_x[i + 1]);
    }
    const auto at = static_cast<size_t>(sub * x.n_tokens + token);
    out.value += double{d[sub]} * x.d[at] * static_cast<double>(sum);
  }
  return out;
}

SaturatedProduct multiply_saturating(const SaturatingType& type, const WeightView& w,
                                     std::span<const float> x, int64_t n_tokens, ThreadPool& pool) {
  PreparedActivations prepared;
  prepare_activations(x.data(), w.row_len, n_tokens, w.row_len, *w.format, Numerics::ggml, prepared,
                      pool);
  SaturatedProduct out;
  out.values.resize(static_cast<size_t>(n_tokens * w.n_rows));
  std::vector<uint8_t> is_saturated(out.values.size());
  pool.run(w.n_rows, [&](int64_t r, int) {
    std::vector<uint8_t> codes(static_cast<size_t>(w.row_len));
    std::vector<float> d(static_cast<size_t>(w.row_len / w.format->sub_block_len));
    w.unpack(r, 0, w.row_len, codes.data(), d.data(), nullptr);
    for (int64_t t = 0; t < n_tokens; ++t) {
      const SaturatedSum sum = saturated_sum(type, codes.data(), d.data(), prepared, t);
      const auto at = static_cast<size_t>(t * w.n_rows + r);
      out.values[at] = static_cast<float>(sum.value);
      is_saturated[at] = sum.is_saturated;
    }
  });
  out.n_saturated = std::ranges::count(is_saturated, 1);
  const auto first = std::ranges::find(is_saturated, 1) - is_saturated.begin();
  out.token = first / w.n_rows;
  out.row = first % w.n_rows;
  return out;
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

}  // namespace

std::optional<Explanation> CauseFinder::from_kernels(const Suspect& suspect) {
  if (auto found = from_int16_overflow(suspect)) return found;
  if (auto found = from_saturation(suspect)) return found;
  return from_scale_read_as_codes(suspect);
}

// bitnet.cpp's x86 kernel adds up to 4096 products in int16, which extreme activations overflow.
std::optional<Explanation> CauseFinder::from_int16_overflow(const Suspect& suspect) {
  const Operation& product = suspect.expected;
  const auto w = weight_of_product(product, weights_);
  if (!w || w->format != &kI2_S) return {};
  const TapValues of_x(product.sources[1]);
  if (of_x.get().empty()) return {};
  const I2sWraps wraps =
      find_i2_s_wraps(*w, of_x.get().data(), w->row_len, product.sources[1].n_rows(), pool_);
  if (wraps.n_outputs == 0) return {};
  return Explanation{
      Cause::int16_overflow, product.sources[0].name,
      fmt::format("{} outputs overflow the 16-bit sums of bitnet.cpp's kernel, the first at token "
                  "{}, row {}: it adds up {} where {} is right",
                  wraps.n_outputs, wraps.token, wraps.row, wraps.sums.kernel, wraps.sums.exact)};
}

// ik_llama.cpp's kernels for IQ4_XS, IQ4_KSS and IQ5_KS on CPUs without AVX-512
// (iqk_gemm_kquants.cpp `DequantizerIQ4XS`, iqk_gemm_iqk_quants.cpp `DequantizerIQ4KSS`,
// `DequantizerIQ5KS`, iqk_common.h `multiply_add`): two steps of up to 249, lifted by 128, times
// two activations of up to 127 are added in 16 bits with a sign, and stop at their end.
std::optional<Explanation> CauseFinder::from_saturation(const Suspect& suspect) {
  const Operation& product = suspect.expected;
  const auto w = weight_of_product(product, weights_);
  if (!w) return {};
  const auto* const type =
      std::ranges::find(kSaturatingTypes, w->format->type, &SaturatingType::type);
  if (type == std::end(kSaturatingTypes)) return {};
  const TapValues of_x(product.sources[1]), of_found(suspect.found.out);
  const std::span<const float> observed = of_found.get();
  if (of_x.get().empty() || observed.size() != suspect.replayed.expected.size()) return {};
  const SaturatedProduct saturated =
      multiply_saturating(*type, *w, of_x.get(), product.sources[1].n_rows(), pool_);
  if (saturated.n_saturated == 0 || saturated.values.size() != observed.size()) return {};
  constexpr double vanished = 1e-3;  // of what it is off by; the rest is the order of f32 sums
  if (!(distance(saturated.values, observed) <
        vanished * distance(suspect.replayed.expected, observed))) {
    return {};
  }
  return Explanation{
      Cause::int16_overflow, product.sources[0].name,
      fmt::format("{} of {} outputs saturate 16-bit sums of two products, as ik_llama.cpp's AVX2 "
                  "kernel for {} makes them, the first at token {}, row {}: computed that way "
                  "the difference vanishes",
                  saturated.n_saturated, observed.size(), type_name(type->type), saturated.token,
                  saturated.row)};
}

// ik_llama.cpp, iqk_quantize.cpp `dequantize_row_iq1_bn`, `dequantize_row_iq2_bn`: a row is read
// from its first byte on, where its scale lies.
std::optional<Explanation> CauseFinder::from_scale_read_as_codes(const Suspect& suspect) {
  const Operation& lookup = suspect.expected;
  if (lookup.op != "GET_ROWS" || lookup.sources.empty() || !lookup.sources[0].is_weight) return {};
  const std::string& name = lookup.sources[0].name;
  const TensorView* tensor = weights_.find(name);
  if (tensor == nullptr || find_format(tensor->type) == nullptr) return {};
  const WeightView w = weight_view(*tensor);
  const RowScale& of_row = w.format->row_scale;
  if (of_row.n_bytes == 0 || of_row.in_d || w.format->rows_together > 1) return {};
  const auto n_bytes = static_cast<size_t>(of_row.n_bytes);
  constexpr float one = 1;
  const uint16_t half_one = f32_to_f16(one);
  const void* unscaled = n_bytes == sizeof half_one ? static_cast<const void*>(&half_one) : &one;
  std::vector<std::byte> shifted(tensor->data.size());
  for (int64_t begin = 0; begin < w.n_rows * w.row_bytes; begin += w.row_bytes) {
    std::byte* to = shifted.data() + begin;
    std::memcpy(to, unscaled, n_bytes);
    std::memcpy(to + n_bytes, tensor->data.data() + begin,
                static_cast<size_t>(w.row_bytes) - n_bytes);
  }
  TensorView as_read = *tensor;
  as_read.data = shifted;
  weights_.substitute(name, as_read);
  const bool explains = vanishes(lookup, suspect);
  weights_.restore(name);
  if (!explains) return {};
  return Explanation{
      Cause::codes_shifted, name,
      fmt::format("rows of {} are read from the first byte on, where {} keeps the row's scale: the "
                  "codes are shifted by the {} bytes of the scale, and nothing is scaled; computed "
                  "that way the difference vanishes",
                  name, type_name(tensor->type), n_bytes)};
}

}  // namespace crossval
