// Rounds activations per token, in parallel over tokens.
#include "quant/activations.h"

#include <algorithm>
#include <cassert>

#include "base/half.h"
#include "quant/kernels.h"
#include "quant/tensor_scale.h"

namespace crossval {
namespace {

struct Key {
  ActivationType type;
  int sub_block_len, offset;
};

Key key_of(const Format& format, Numerics numerics) {
  if (numerics == Numerics::exact || format.activation == ActivationType::F32) {
    return {ActivationType::F32, 0, 0};
  }
  return {format.activation, format.sub_block_len, format.offset};
}

void round_to_16_bits(const float* x, int64_t n, ActivationType type, float* out) {
  if (type == ActivationType::BF16) {
    for (int64_t i = 0; i < n; ++i) out[i] = bf16_to_f32(f32_to_bf16(x[i]));
    return;
  }
  constexpr int64_t kPart = 256;
  uint16_t halves[kPart];
  for (int64_t i = 0; i < n; i += kPart) {
    const int64_t part = std::min(kPart, n - i);
    f32_to_f16_row(x + i, part, halves);
    f16_to_f32_row(halves, part, out + i);
  }
}

template <typename T>
void grow(std::vector<T>& values, int64_t n) {
  if (static_cast<int64_t>(values.size()) < n) values.resize(static_cast<size_t>(n));
}

}  // namespace

bool PreparedActivations::fits(const Format& format, Numerics numerics) const {
  const Key key = key_of(format, numerics);
  return type == key.type && sub_block_len == key.sub_block_len && offset == key.offset;
}

void prepare_activations(const float* x, int64_t x_stride, int64_t n_tokens, int64_t row_len,
                         const Format& format, Numerics numerics, PreparedActivations& out,
                         ThreadPool& pool) {
  const Key key = key_of(format, numerics);
  out.n_tokens = n_tokens;
  out.row_len = row_len;
  out.type = key.type;
  out.sub_block_len = key.sub_block_len;
  out.offset = key.offset;
  out.x = x;
  out.x_stride = x_stride;
  if (key.type == ActivationType::F32) return;

  // Few enough pieces that a piece is worth waking a thread for.
  const int64_t tokens_per_item = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, row_len));
  const int64_t n_items = (n_tokens + tokens_per_item - 1) / tokens_per_item;
  if (key.type == ActivationType::F16 || key.type == ActivationType::BF16) {
    grow(out.values, n_tokens * row_len);
    out.x = out.values.data();
    out.x_stride = row_len;
    pool.run(n_items, [&](int64_t item, int) {
      const int64_t end = std::min(n_tokens, (item + 1) * tokens_per_item);
      for (int64_t t = item * tokens_per_item; t < end; ++t) {
        round_to_16_bits(x + t * x_stride, row_len, key.type, out.values.data() + t * row_len);
      }
    });
    return;
  }
  assert(row_len % format.block_len == 0 && key.sub_block_len > 0);
  const Kernels& kernels = active_kernels();
  out.n_sub = row_len / key.sub_block_len;
  grow(out.codes, n_tokens * row_len);
  if (key.type == ActivationType::I8_ROW) {
    grow(out.row_scales, n_tokens);
    grow(out.row_sums, n_tokens);
    pool.run(n_items, [&](int64_t item, int) {
      const int64_t end = std::min(n_tokens, (item + 1) * tokens_per_item);
      for (int64_t t = item * tokens_per_item; t < end; ++t) {
        const auto at = static_cast<size_t>(t);
        out.row_scales[at] = round_i8_row(x + t * x_stride, row_len, out.codes.data() + t * row_len,
                                          out.row_sums[at]);
        out.row_sums[at] *= key.offset;
      }
    });
    return;
  }
  grow(out.d, n_tokens * out.n_sub);
  grow(out.s, n_tokens * out.n_sub);
  grow(out.sums, n_tokens * out.n_sub);
  const int run = run_of_four(key.type);
  if (run > 0) grow(out.four_scales, n_tokens);
  pool.run(n_items, [&](int64_t item, int) {
    const int64_t end = std::min(n_tokens, (item + 1) * tokens_per_item);
    for (int64_t t = item * tokens_per_item; t < end; ++t) {
      const RoundedRow row = {n_tokens, out.codes.data() + t * row_len, out.d.data() + t,
                              out.s.data() + t, out.sums.data() + t};
      if (run > 0) {
        out.four_scales[static_cast<size_t>(t)] =
            round_i8_four(x + t * x_stride, row_len, run, key.sub_block_len, row);
      } else if (key.type == ActivationType::Q8_K) {
        kernels.round_q8_k(x + t * x_stride, row_len, key.offset, key.sub_block_len, row);
      } else {
        kernels.round_q8(x + t * x_stride, row_len, key.offset, key.type == ActivationType::Q8_1,
                         key.sub_block_len, row);
      }
    }
  });
}

}  // namespace crossval
