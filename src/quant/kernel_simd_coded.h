// Weights from code panels: stored as floats for many tokens, or multiplied where they are made, in
// registers, for one. Included after kernel_simd.h and like it. Rounding and the order of sums are
// the same on both ways: kernels.h.

// d * (c - offset) + m of one of the 4 weights that a word holds. A format with a minimum has no
// offset (Format::has_min).
template <int kByte, bool kHasMin>
inline __attribute__((always_inline)) Simd::F weight_of_byte(Simd::I words, Simd::I offset,
                                                             Simd::F d, Simd::F m) {
  Simd::I code = kByte == 0 ? words : Simd::template shift_right_32<8 * kByte>(words);
  if constexpr (kByte < 3) code = Simd::and_i(code, Simd::splat_i32(255));
  if constexpr (!kHasMin) code = Simd::sub_i32(code, offset);
  const Simd::F weight = Simd::mul(Simd::to_f(code), d);
  if constexpr (kHasMin) return Simd::add_f(weight, m);
  return weight;
}

template <bool kHasMin>
void expand_panel(const CodePanel& panel, int64_t n, int sub_block_len, int offset, float* out) {
  const Simd::I shift = Simd::splat_i32(offset);
  for (int64_t sub = 0; sub < n / sub_block_len; ++sub) {
    for (int v = 0; v < kVecs; ++v) {
      const int64_t at = sub * kPanelRows + v * Simd::kLanes;
      const Simd::F d = Simd::load_f(panel.d + at);
      const Simd::F m = kHasMin ? Simd::load_f(panel.m + at) : Simd::zero_f();
      const int64_t first = sub * sub_block_len * kPanelRows;
      for (int64_t k = 0; k < sub_block_len; k += 4) {
        const int64_t group = first + k * kPanelRows;
        const Simd::I words = Simd::load_bytes(panel.codes + group + 4 * v * Simd::kLanes);
        float* to = out + group + v * Simd::kLanes;
        Simd::store_f(to, weight_of_byte<0, kHasMin>(words, shift, d, m));
        Simd::store_f(to + kPanelRows, weight_of_byte<1, kHasMin>(words, shift, d, m));
        Simd::store_f(to + 2 * kPanelRows, weight_of_byte<2, kHasMin>(words, shift, d, m));
        Simd::store_f(to + 3 * kPanelRows, weight_of_byte<3, kHasMin>(words, shift, d, m));
      }
    }
  }
}

void expand_codes(const CodePanel& panel, int64_t n, int sub_block_len, int offset, bool has_min,
                  float* out) {
  if (has_min) {
    expand_panel<true>(panel, n, sub_block_len, offset, out);
  } else {
    expand_panel<false>(panel, n, sub_block_len, offset, out);
  }
}

template <int kByte, bool kHasMin>
inline __attribute__((always_inline)) void add_weights(const Simd::I (&words)[kVecs], Simd::I shift,
                                                       const Simd::F (&d)[kVecs],
                                                       const Simd::F (&m)[kVecs], const float* x,
                                                       Simd::F (&acc)[kVecs]) {
  const Simd::F factor = Simd::broadcast_f(x + kByte);
#pragma GCC unroll 2
  for (int v = 0; v < kVecs; ++v) {
    const Simd::F weight = weight_of_byte<kByte, kHasMin>(words[v], shift, d[v], m[v]);
    acc[v] = Simd::fma(weight, factor, acc[v]);
  }
}

// kChunks chunks side by side, as in float_chunks.
template <int kSubLen, bool kHasMin, int kChunks>
inline __attribute__((always_inline)) void coded_chunks(const CodedArgs& args, int64_t start,
                                                        int64_t len) {
  using F = Simd::F;
  using I = Simd::I;
  const I shift = Simd::splat_i32(args.offset);
  F acc[kChunks][kVecs];
#pragma GCC unroll 4
  for (int c = 0; c < kChunks; ++c) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) acc[c][v] = Simd::zero_f();
  }
  const float* x = args.x + start;
  const uint8_t* codes = args.panel.codes + start * kPanelRows;
  const int64_t first_sub = start / kSubLen * kPanelRows;
  const float* wd = args.panel.d + first_sub;
  const float* wm = kHasMin ? args.panel.m + first_sub : wd;
  const std::byte* ahead = args.ahead + start / kSubLen * args.ahead_per_sub;
  for (int64_t sub = 0; sub < len / kSubLen; ++sub) {
    for (int64_t byte = 0; byte < kChunks * args.ahead_per_sub; byte += 64) {
      __builtin_prefetch(ahead + byte);
    }
    ahead += kChunks * args.ahead_per_sub;
#pragma GCC unroll 2
    for (int k = 0; k < kSubLen; k += 4) {
#pragma GCC unroll 4
      for (int c = 0; c < kChunks; ++c) {
        I words[kVecs];
        F d[kVecs], m[kVecs];
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) {
          const int64_t at = c * (kFloatChunk / kSubLen) * kPanelRows + v * Simd::kLanes;
          words[v] = Simd::load_bytes(codes + c * kFloatChunk * kPanelRows + 4 * v * Simd::kLanes);
          d[v] = Simd::load_f(wd + at);
          m[v] = kHasMin ? Simd::load_f(wm + at) : Simd::zero_f();
        }
        const float* xs = x + c * kFloatChunk;
        add_weights<0, kHasMin>(words, shift, d, m, xs, acc[c]);
        add_weights<1, kHasMin>(words, shift, d, m, xs, acc[c]);
        add_weights<2, kHasMin>(words, shift, d, m, xs, acc[c]);
        add_weights<3, kHasMin>(words, shift, d, m, xs, acc[c]);
        // Scales of all chunks held in registers would leave none for the sums.
        asm volatile("" : : : "memory");
      }
      x += 4;
      codes += 4 * kPanelRows;
    }
    wd += kPanelRows;
    wm += kPanelRows;
  }
#pragma GCC unroll 4
  for (int c = 0; c < kChunks; ++c) {
    const bool first = args.first && start == 0 && c == 0;
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      float* y = args.y + v * Simd::kLanes;
      Simd::store_f(y, first ? acc[c][v] : Simd::add_f(Simd::load_f(y), acc[c][v]));
    }
  }
}

template <int kSubLen, bool kHasMin>
void coded_kernel_of(const CodedArgs& args) {
  constexpr int kChunks = 4 / kVecs;
  int64_t start = 0;
  for (; start + kChunks * kFloatChunk <= args.n; start += kChunks * kFloatChunk) {
    coded_chunks<kSubLen, kHasMin, kChunks>(args, start, kFloatChunk);
  }
  for (; start < args.n; start += kFloatChunk) {
    const int64_t left = args.n - start;
    coded_chunks<kSubLen, kHasMin, 1>(args, start, left < kFloatChunk ? left : kFloatChunk);
  }
}

void coded_kernel(const CodedArgs& args) {
  if (args.sub_block_len == 16) {
    return args.has_min ? coded_kernel_of<16, true>(args) : coded_kernel_of<16, false>(args);
  }
  return args.has_min ? coded_kernel_of<32, true>(args) : coded_kernel_of<32, false>(args);
}
