// The matmul kernels over a small vector wrapper `Simd` (lanes are weight rows), which the
// including kernels_*.cc defines; like kernel_plain.h it is included once per instruction set,
// inside its namespace and target options. The sums are those of kernels.h in the same order per
// lane, so the bits equal the scalar reference whatever the tile shape.

constexpr int kVecs = kPanelRows / Simd::kLanes;

// sum[t][v] = sum of code * activation over one sub-block, exact. `a` points to the sub-block's
// activations of each token.
//
// maddubs adds two products of a u8 code and an s8 activation in int16; so many steps of 4 weights
// fit before int16 could overflow: 2 * (2^bits - 1) * 128 * steps < 32768. Codes of 8 bits would
// not fit even once and are split into nibbles.
// NOLINTBEGIN(readability-function-size): one sum in registers, its steps unrolled by hand
template <int kBits, int kSubLen, int kTokens, typename S = Simd>
inline __attribute__((always_inline)) void dot_sub_block(const uint8_t* codes,
                                                         const int8_t* const* a,
                                                         Simd::I (&sum)[kTokens][kVecs]) {
  using I = Simd::I;
  constexpr int kSteps = kSubLen / 4;
  if constexpr (Simd::kVnni) {
#pragma GCC unroll 16
    for (int step = 0; step < kSteps; ++step) {
      I c[kVecs];
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        c[v] = Simd::load_bytes(codes + 4 * (step * kPanelRows + v * Simd::kLanes));
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
        const I b = Simd::broadcast_4_bytes(a[t] + 4 * step);
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) {
          sum[t][v] = S::dpbusd(step == 0 ? Simd::zero_i() : sum[t][v], c[v], b);
        }
      }
    }
  } else if constexpr (kBits <= 7) {
    constexpr int kFit = kBits <= 4 ? 8 : 1 << (7 - kBits);
    constexpr int kRun = kFit < kSteps ? kFit : kSteps;
    const I ones = Simd::broadcast_i16(1);
#pragma GCC unroll 16
    for (int run = 0; run < kSteps / kRun; ++run) {
      I part[kTokens][kVecs];
#pragma GCC unroll 16
      for (int step = 0; step < kRun; ++step) {
        I c[kVecs];
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) {
          c[v] =
              Simd::load_bytes(codes + 4 * ((run * kRun + step) * kPanelRows + v * Simd::kLanes));
        }
#pragma GCC unroll 16
        for (int t = 0; t < kTokens; ++t) {
          const I b = Simd::broadcast_4_bytes(a[t] + 4 * (run * kRun + step));
#pragma GCC unroll 2
          for (int v = 0; v < kVecs; ++v) {
            const I products = Simd::maddubs(c[v], b);
            part[t][v] = step == 0 ? products : Simd::add_i16(part[t][v], products);
            Simd::keep(part[t][v]);
          }
        }
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) {
          const I wide = Simd::madd_i16(part[t][v], ones);
          sum[t][v] = run == 0 ? wide : Simd::add_i32(sum[t][v], wide);
          Simd::keep(sum[t][v]);
        }
      }
    }
  } else {
    static_assert(kSteps <= 8);
    const I nibble = Simd::broadcast_i16(0x0f0f);
    const I ones = Simd::broadcast_i16(1), sixteens = Simd::broadcast_i16(16);
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {  // one vector at a time: its sums fill the registers
      I low[kTokens], high[kTokens];
#pragma GCC unroll 16
      for (int step = 0; step < kSteps; ++step) {
        const I c = Simd::load_bytes(codes + 4 * (step * kPanelRows + v * Simd::kLanes));
        const I c_low = Simd::and_i(c, nibble);
        const I c_high = Simd::and_i(Simd::shift_right_4(c), nibble);
#pragma GCC unroll 16
        for (int t = 0; t < kTokens; ++t) {
          const I b = Simd::broadcast_4_bytes(a[t] + 4 * step);
          const I p_low = Simd::maddubs(c_low, b), p_high = Simd::maddubs(c_high, b);
          low[t] = step == 0 ? p_low : Simd::add_i16(low[t], p_low);
          high[t] = step == 0 ? p_high : Simd::add_i16(high[t], p_high);
          Simd::keep(low[t]);
          Simd::keep(high[t]);
        }
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
        sum[t][v] = Simd::add_i32(Simd::madd_i16(low[t], ones), Simd::madd_i16(high[t], sixteens));
      }
    }
  }
}
// NOLINTEND(readability-function-size)

template <int kBits, int kSubLen, bool kHasMin, int kTokens>
void int_tile(const IntArgs& args, int64_t token) {
  using F = Simd::F;
  using I = Simd::I;
  const int8_t* a[kTokens];
  F acc[kTokens][kVecs];
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
    a[t] = args.a + (token + t) * args.a_stride;
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      const float* y = args.y + (token + t) * args.y_stride + v * Simd::kLanes;
      acc[t][v] = args.first ? Simd::zero_f() : Simd::load_f(y);
    }
  }
  const uint8_t* codes = args.codes;
  const float* da = args.da + token;
  const float* sa = args.sa + token;
  const int32_t* sums = args.sums + token;
  const float* wd = args.d;
  const float* wm = args.m;
  for (int64_t sub = 0; sub < args.n_sub; ++sub) {
    I sum[kTokens][kVecs];
    dot_sub_block<kBits, kSubLen, kTokens>(codes, a, sum);
    codes += kSubLen * kPanelRows;
    F d[kVecs], m[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      d[v] = Simd::load_f(wd + v * Simd::kLanes);
      if constexpr (kHasMin) m[v] = Simd::load_f(wm + v * Simd::kLanes);
    }
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) {
      a[t] += kSubLen;
      const F scale = Simd::broadcast_f(da + t);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        I exact = sum[t][v];
        if constexpr (kHasMin) {
          acc[t][v] = Simd::fma(m[v], Simd::broadcast_f(sa + t), acc[t][v]);
        } else {
          exact = Simd::sub_i32(exact, Simd::broadcast_i32(sums + t));
        }
        acc[t][v] = Simd::fma(Simd::mul(d[v], scale), Simd::to_f(exact), acc[t][v]);
      }
    }
    wd += kPanelRows;
    wm += kPanelRows;
    da += args.sub_stride;
    sa += args.sub_stride;
    sums += args.sub_stride;
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      Simd::store_f(args.y + (token + t) * args.y_stride + v * Simd::kLanes, acc[t][v]);
    }
  }
}

template <int kBits, int kSubLen, bool kHasMin>
void int_kernel_of(const IntArgs& args) {
  constexpr int kTokens = Simd::template int_tokens<kBits>();
  int64_t token = 0;
  for (; token + kTokens <= args.n_tokens; token += kTokens) {
    int_tile<kBits, kSubLen, kHasMin, kTokens>(args, token);
  }
  if constexpr (kTokens > 2) {
    for (; token + 2 <= args.n_tokens; token += 2) {
      int_tile<kBits, kSubLen, kHasMin, 2>(args, token);
    }
  }
  for (; token < args.n_tokens; ++token) int_tile<kBits, kSubLen, kHasMin, 1>(args, token);
}

template <int kBits>
IntKernel int_kernel_of_bits(int sub_block_len, bool has_min) {
  if (sub_block_len == 16) {
    return has_min ? int_kernel_of<kBits, 16, true> : int_kernel_of<kBits, 16, false>;
  }
  return has_min ? int_kernel_of<kBits, 32, true> : int_kernel_of<kBits, 32, false>;
}

template <typename S>
IntKernel int_kernel_for(int code_bits, int sub_block_len, bool has_min) {
  if constexpr (!S::kVnni) {  // VNNI takes codes of any width alike
    if (code_bits <= 4) return int_kernel_of_bits<4>(sub_block_len, has_min);
    if (code_bits == 5) return int_kernel_of_bits<5>(sub_block_len, has_min);
    if (code_bits == 6) return int_kernel_of_bits<6>(sub_block_len, has_min);
    if (code_bits == 7) return int_kernel_of_bits<7>(sub_block_len, has_min);
  }
  return int_kernel_of_bits<8>(sub_block_len, has_min);
}

IntKernel int_kernel(int code_bits, int sub_block_len, bool has_min) {
  return int_kernel_for<Simd>(code_bits, sub_block_len, has_min);
}

// kChunks chunks run side by side: with one token there are too few chains of sums to hide the
// latency of an fma. Each chunk's sum is still its own chain, and they are added in order.
template <int kTokens, int kChunks>
inline __attribute__((always_inline)) void float_chunks(const FloatArgs& args, int64_t token,
                                                        int64_t start, int64_t len) {
  using F = Simd::F;
  const float* x = args.x + token * args.x_stride + start;
  const float* w = args.w + start * kPanelRows;
  F acc[kChunks][kTokens][kVecs];
#pragma GCC unroll 2
  for (int c = 0; c < kChunks; ++c) {
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) acc[c][t][v] = Simd::zero_f();
    }
  }
  for (int64_t k = 0; k < len; ++k) {
#pragma GCC unroll 2
    for (int c = 0; c < kChunks; ++c) {
      F weights[kVecs];
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        weights[v] = Simd::load_f(w + (c * kFloatChunk + k) * kPanelRows + v * Simd::kLanes);
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
        const F b = Simd::broadcast_f(x + t * args.x_stride + c * kFloatChunk + k);
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) acc[c][t][v] = Simd::fma(weights[v], b, acc[c][t][v]);
      }
    }
  }
#pragma GCC unroll 2
  for (int c = 0; c < kChunks; ++c) {
    const bool first = args.first && start == 0 && c == 0;
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        float* y = args.y + (token + t) * args.y_stride + v * Simd::kLanes;
        Simd::store_f(y, first ? acc[c][t][v] : Simd::add_f(Simd::load_f(y), acc[c][t][v]));
      }
    }
  }
}

template <int kTokens>
void float_tile(const FloatArgs& args, int64_t token) {
  int64_t start = 0;
  if constexpr (kTokens == 1) {
    for (; start + 2 * kFloatChunk <= args.n; start += 2 * kFloatChunk) {
      float_chunks<kTokens, 2>(args, token, start, kFloatChunk);
    }
  }
  for (; start < args.n; start += kFloatChunk) {
    const int64_t left = args.n - start;
    float_chunks<kTokens, 1>(args, token, start, left < kFloatChunk ? left : kFloatChunk);
  }
}

void float_kernel(const FloatArgs& args) {
  constexpr int kTokens = Simd::kFloatTokens;
  int64_t token = 0;
  for (; token + kTokens <= args.n_tokens; token += kTokens) float_tile<kTokens>(args, token);
  for (; token + 3 <= args.n_tokens; token += 3) float_tile<3>(args, token);
  for (; token < args.n_tokens; ++token) float_tile<1>(args, token);
}
