// Cuts a matmul into panels of kPanelRows weight rows. A panel is unpacked on the fly, in parts
// that stay in the first-level cache, and each part meets all tokens before the next is unpacked:
// nothing is repacked at load, and one token runs through the same sums as five hundred.
#include "quant/matmul.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <vector>

#include "quant/kernels.h"
#include "quant/tensor_scale.h"

namespace crossval {
namespace {

// Weights of a row unpacked at a time: 16 KiB of codes or of floats per panel, half of a
// first-level cache. Both are whole blocks of every format, and kFloatPart whole kFloatChunks.
constexpr int64_t kIntPart = 1024;
constexpr int64_t kFloatPart = 256;
static_assert(kFloatPart % kFloatChunk == 0 && kIntPart % kFloatChunk == 0);
constexpr int64_t kMinSubLen = 16;

struct alignas(64) Scratch {
  std::array<uint8_t, kIntPart * kPanelRows> codes;
  std::array<float, kIntPart / kMinSubLen * kPanelRows> d, m;
  std::array<float, kFloatPart * kPanelRows> floats;
  // Rows one by one, for formats without a short cut.
  std::array<uint8_t, kIntPart * kPanelRows> row_codes;
  std::array<float, kFloatPart * kPanelRows> row_floats;
  std::array<float, kIntPart / kMinSubLen> row_d, row_m;
  std::vector<float> ragged;     // results of the last panel when it has fewer rows
  std::vector<float> four_sums;  // four scales a row: [kScales][tokens][kPanelRows]

  CodePanel panel() { return {codes.data(), d.data(), m.data()}; }
};

Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// At most kPanelRows rows from `row` on (the others read as zeros), from weight `first` of each on.
struct PanelRows {
  const WeightView& w;
  int64_t row;
  int n_rows;
  int64_t first;
  const std::byte* at() const {
    return w.data + row * w.row_bytes + first / w.format->block_len * w.format->block_bytes;
  }
};

// Unpacks n weights of each row into s.panel().
void pack_codes(const PanelRows& rows, int64_t n, const Kernels& kernels, Scratch& s,
                bool asks_ahead = true) {
  const Format& format = *rows.w.format;
  if (kernels.packs_avx2 && format.pack_avx2 != nullptr && rows.n_rows == kPanelRows) {
    CodePanel panel = s.panel();
    panel.asks_ahead = asks_ahead;
    format.pack_avx2(rows.at(), rows.w.row_bytes, n, panel);
    return;
  }
  const int64_t n_sub = n / format.sub_block_len;
  for (int r = 0; r < kPanelRows; ++r) {
    uint8_t* codes = s.row_codes.data() + r * n;
    if (r < rows.n_rows) {
      rows.w.unpack(rows.row + r, rows.first, n, codes, s.row_d.data(), s.row_m.data());
    } else {
      std::fill_n(codes, n, uint8_t{0});
      s.row_d.fill(0.0f);
      s.row_m.fill(0.0f);
    }
    for (int64_t sub = 0; sub < n_sub; ++sub) {
      s.d[static_cast<size_t>(sub * kPanelRows + r)] = s.row_d[static_cast<size_t>(sub)];
    }
    if (!format.has_min) continue;
    for (int64_t sub = 0; sub < n_sub; ++sub) {
      s.m[static_cast<size_t>(sub * kPanelRows + r)] = s.row_m[static_cast<size_t>(sub)];
    }
  }
  kernels.interleave_codes(s.row_codes.data(), n, n, s.codes.data());
}

// Dequantises n <= kFloatPart weights of each row into s.floats.
void pack_floats(const PanelRows& rows, int64_t n, const Kernels& kernels, Scratch& s) {
  const Format& format = *rows.w.format;
  if (format.sub_block_len > 0) {
    pack_codes(rows, n, kernels, s);
    kernels.expand_codes(s.panel(), n, format.sub_block_len, format.offset, format.has_min,
                         s.floats.data());
    return;
  }
  // The next panel's rows are asked for while this one's are turned: 16 streams are more than the
  // hardware follows by itself. A hint, so it may point past the end.
  const std::byte* at = rows.at();
  const int64_t row_bytes = rows.w.row_bytes;
  const auto part_bytes = static_cast<uintptr_t>(n / format.block_len * format.block_bytes);
  for (int r = 0; r < rows.n_rows; ++r) {
    const auto row = reinterpret_cast<uintptr_t>(at + (kPanelRows + r) * row_bytes);
    for (uintptr_t byte = 0; byte < part_bytes; byte += 64) {
      __builtin_prefetch(reinterpret_cast<const void*>(row + byte));
    }
  }
  const bool is_f32 = format.type == GgmlType::F32 && row_bytes % 4 == 0 &&
                      reinterpret_cast<uintptr_t>(at) % alignof(float) == 0;
  if (is_f32 && rows.n_rows == kPanelRows) {
    kernels.interleave_floats(reinterpret_cast<const float*>(at), row_bytes / 4, n,
                              s.floats.data());
    return;
  }
  for (int r = 0; r < kPanelRows; ++r) {
    float* to = s.row_floats.data() + r * kFloatPart;
    if (r < rows.n_rows) {
      format.dequantize(at + r * row_bytes, n, to);
    } else {
      std::fill_n(to, n, 0.0f);
    }
  }
  kernels.interleave_floats(s.row_floats.data(), kFloatPart, n, s.floats.data());
}

struct Job {
  const WeightView& w;
  const PreparedActivations& x;
  float* y;
  int64_t y_stride;
  const Kernels& kernels;
};

// The same of rows with four scales: each scale's weights are summed by themselves.
void sum_four(const Job& job, const PanelRows& rows, int64_t token, int64_t n_tokens, Scratch& s) {
  const Format& format = *job.w.format;
  const PreparedActivations& x = job.x;
  const IntKernel int_kernel =
      job.kernels.int_kernel(format.code_bits, format.sub_block_len, false);
  s.four_sums.resize(static_cast<size_t>(kScales * n_tokens * kPanelRows));
  for (int64_t k = 0; k < job.w.row_len; k += kIntPart) {
    const int64_t n = std::min(kIntPart, job.w.row_len - k);
    pack_codes({rows.w, rows.row, rows.n_rows, k}, n, job.kernels, s);
    sort_by_scale(s.codes.data(), n, run_of_four(x.type), s.row_codes.data());
    const int64_t n_each = n / kScales;
    for (int c = 0; c < kScales; ++c) {
      int_kernel({.codes = s.row_codes.data() + c * n_each * kPanelRows,
                  .d = s.d.data(),
                  .m = s.m.data(),
                  .n_sub = n_each / format.sub_block_len,
                  .a = x.codes.data() + token * x.row_len + (c * x.row_len + k) / kScales,
                  .a_stride = x.row_len,
                  .da = x.d.data() + token,
                  .sa = x.s.data() + token,
                  .sums = x.sums.data() + token,
                  .sub_stride = x.n_tokens,
                  .n_tokens = n_tokens,
                  .y = s.four_sums.data() + c * n_tokens * kPanelRows,
                  .y_stride = kPanelRows,
                  .first = k == 0});
    }
  }
}

// The same under I8_ROW, where rows are summed as integers.
void sum_panel(const Job& job, const PanelRows& rows, int64_t token, int64_t n_tokens, float* y,
               int64_t y_stride, Scratch& s) {
  const Format& format = *job.w.format;
  const PreparedActivations& x = job.x;
  const SumKernel sum_kernel = job.kernels.sum_kernel(format.code_bits);
  for (int64_t k = 0; k < x.row_len; k += kIntPart) {
    const int64_t n = std::min(kIntPart, x.row_len - k);
    pack_codes({rows.w, rows.row, rows.n_rows, k}, n, job.kernels, s);
    sum_kernel({.codes = s.codes.data(),
                .n = n,
                .a = x.codes.data() + token * x.row_len + k,
                .a_stride = x.row_len,
                .row_sums = x.row_sums.data() + token,
                .n_tokens = n_tokens,
                .y = y,
                .y_stride = y_stride,
                .first = k == 0,
                .last = k + n == x.row_len});
  }
}

// Rows [row, row + kPanelRows) for tokens [token, token + n_tokens). Long, because all its cases
// share the panel's buffers on the stack. NOLINTNEXTLINE(readability-function-size)
void multiply_panel(const Job& job, int64_t row, int64_t token, int64_t n_tokens) {
  const WeightView& w = job.w;
  const Format& format = *w.format;
  Scratch& s = scratch();
  const int n_rows = static_cast<int>(std::min<int64_t>(kPanelRows, w.n_rows - row));
  float* y = job.y + token * job.y_stride + row;
  if (job.x.n_tokens == 1 && job.x.sub_block_len > 0 && n_rows == kPanelRows &&
      job.kernels.packs_avx2 && format.dot_avx2 != nullptr) {
    const bool whole_rows = job.x.type == ActivationType::I8_ROW;
    const OneToken x = {job.x.codes.data(), job.x.d.data(), job.x.s.data(),
                        whole_rows ? job.x.row_sums.data() : job.x.sums.data()};
    format.dot_avx2(w.data + row * w.row_bytes, w.row_bytes, w.row_len, x, y);
    return;
  }
  int64_t y_stride = job.y_stride;
  if (n_rows < kPanelRows) {
    s.ragged.resize(static_cast<size_t>(n_tokens * kPanelRows));
    y = s.ragged.data();
    y_stride = kPanelRows;
  }
  const auto copy_ragged = [&] {
    if (n_rows == kPanelRows) return;
    for (int64_t t = 0; t < n_tokens; ++t) {
      std::copy_n(s.ragged.data() + t * kPanelRows, n_rows,
                  job.y + (token + t) * job.y_stride + row);
    }
  };
  const PreparedActivations& x = job.x;
  const bool on_codes = x.sub_block_len > 0;
  const bool one_on_codes = !on_codes && n_tokens == 1 && format.sub_block_len > 0;
  const int64_t part_len = on_codes || one_on_codes ? kIntPart : kFloatPart;
  const IntKernel int_kernel =
      on_codes ? job.kernels.int_kernel(format.code_bits, format.sub_block_len, format.has_min)
               : nullptr;
  if (run_of_four(x.type) > 0) {
    sum_four(job, {w, row, n_rows, 0}, token, n_tokens, s);
    for (int64_t t = 0; t < n_tokens; ++t) {
      const float* sums = s.four_sums.data() + t * kPanelRows;
      const int64_t next = n_tokens * kPanelRows;
      join_scales({sums, sums + next, sums + 2 * next, sums + 3 * next},
                  x.four_scales[static_cast<size_t>(token + t)], y + t * y_stride);
    }
    copy_ragged();
    return;
  }
  if (x.type == ActivationType::I8_ROW) {
    sum_panel(job, {w, row, n_rows, 0}, token, n_tokens, y, y_stride, s);
    copy_ragged();
    return;
  }
  for (int64_t k = 0; k < w.row_len; k += part_len) {
    const int64_t n = std::min(part_len, w.row_len - k);
    const PanelRows rows = {w, row, n_rows, k};
    if (on_codes) {
      pack_codes(rows, n, job.kernels, s);
      const int64_t sub = k / format.sub_block_len * x.n_tokens + token;
      int_kernel({.codes = s.codes.data(),
                  .d = s.d.data(),
                  .m = s.m.data(),
                  .n_sub = n / format.sub_block_len,
                  .a = x.codes.data() + token * x.row_len + k,
                  .a_stride = x.row_len,
                  .da = x.d.data() + sub,
                  .sa = x.s.data() + sub,
                  .sums = x.sums.data() + sub,
                  .sub_stride = x.n_tokens,
                  .n_tokens = n_tokens,
                  .y = y,
                  .y_stride = y_stride,
                  .first = k == 0});
    } else if (one_on_codes) {
      // Panels follow each other in memory, so the next one is asked for in its stored order.
      const std::byte* ahead = w.data + (row + kPanelRows) * w.row_bytes +
                               kPanelRows * (rows.at() - w.data) - kPanelRows * row * w.row_bytes;
      pack_codes(rows, n, job.kernels, s, false);
      job.kernels.coded_kernel({.panel = s.panel(),
                                .n = n,
                                .sub_block_len = format.sub_block_len,
                                .offset = format.offset,
                                .has_min = format.has_min,
                                .x = x.x + token * x.x_stride + k,
                                .y = y,
                                .first = k == 0,
                                .ahead = ahead,
                                .ahead_per_sub = kPanelRows * format.block_bytes *
                                                 format.sub_block_len / format.block_len});
    } else {
      pack_floats(rows, n, job.kernels, s);
      job.kernels.float_kernel({.w = s.floats.data(),
                                .n = n,
                                .x = x.x + token * x.x_stride + k,
                                .x_stride = x.x_stride,
                                .n_tokens = n_tokens,
                                .y = y,
                                .y_stride = y_stride,
                                .first = k == 0});
    }
  }
  copy_ragged();
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

void matmul(const WeightView& w, const PreparedActivations& x, float* y, int64_t y_stride,
            ThreadPool& pool) {
  assert(x.row_len == w.row_len &&
         (x.fits(*w.format, Numerics::ggml) || x.fits(*w.format, Numerics::exact)));
  if (x.n_tokens == 0 || w.n_rows == 0) return;
  const Job job = {w, x, y, y_stride, active_kernels()};
  const int64_t n_panels = divide_up(w.n_rows, kPanelRows);
  // Eight items a thread even out threads of unequal speed. Few rows: the tokens are cut as well
  // (a panel is then unpacked once per cut); many rows: several panels make one item.
  const int64_t wanted = 8 * int64_t{pool.n_threads()};
  constexpr int64_t kMinTokens = 32;
  const int64_t cuts = std::clamp<int64_t>(wanted / n_panels, 1, divide_up(x.n_tokens, kMinTokens));
  const int64_t tokens_per_item = divide_up(x.n_tokens, cuts);
  const int64_t panels_per_item = std::max<int64_t>(1, n_panels / wanted);
  const int64_t n_row_items = divide_up(n_panels, panels_per_item);
  pool.run(n_row_items * cuts, [&](int64_t item, int) {
    const int64_t token = item / n_row_items * tokens_per_item;
    const int64_t n_tokens = std::min(tokens_per_item, x.n_tokens - token);
    if (n_tokens <= 0) return;
    const int64_t first = item % n_row_items * panels_per_item;
    for (int64_t p = first; p < std::min(n_panels, first + panels_per_item); ++p) {
      multiply_panel(job, p * kPanelRows, token, n_tokens);
    }
  });
  if (w.scales_results()) {
    apply_weight_scale(w, x, y, y_stride, pool);
  }
}

void matmul(const WeightView& w, const float* x, int64_t x_stride, int64_t n_tokens, float* y,
            int64_t y_stride, Numerics numerics, ThreadPool& pool) {
  thread_local PreparedActivations prepared;
  prepare_activations(x, x_stride, n_tokens, w.row_len, *w.format, numerics, prepared, pool);
  matmul(w, prepared, y, y_stride, pool);
}

}  // namespace crossval
