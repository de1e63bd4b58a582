// The kernel of rows that are summed as integers from end to end (kernels.h, SumArgs), included
// like kernel_simd.h and after it. Nothing is converted or scaled on the way, and with codes of two
// bits int16 holds the sums of 128 weights: 2 * 3 * 128 * 32 < 32768. So on CPUs without VNNI, a
// weight costs a multiplication and an addition of 16 bits and hardly more.

// part[t][v] += the products of 4 * kSumSteps weights: int16 pairs, int32 with VNNI.
constexpr int kSumSteps = 8;

template <int kTokens, typename S = Simd>
inline __attribute__((always_inline)) void add_products(const uint8_t* codes,
                                                        const int8_t* const* a, int64_t k,
                                                        Simd::I (&part)[kTokens][kVecs]) {
  using I = Simd::I;
#pragma GCC unroll 8
  for (int step = 0; step < kSumSteps; ++step) {
    I c[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      c[v] = Simd::load_bytes(codes + 4 * (step * kPanelRows + v * Simd::kLanes));
    }
#pragma GCC unroll 16
    for (int t = 0; t < kTokens; ++t) {
      const I b = Simd::broadcast_4_bytes(a[t] + k + 4 * step);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) {
        if constexpr (Simd::kVnni) {
          part[t][v] = S::dpbusd(part[t][v], c[v], b);
        } else {
          part[t][v] = Simd::add_i16(part[t][v], Simd::maddubs(c[v], b));
          Simd::keep(part[t][v]);
        }
      }
    }
  }
}

template <int kBits, int kTokens>
void sum_tile(const SumArgs& args, int64_t token) {
  using I = Simd::I;
  // Weights between two widenings to int32.
  constexpr int64_t kRun = kBits <= 2 ? 128 : 32;
  constexpr int64_t kStep = 4 * kSumSteps;
  const int8_t* a[kTokens];
  I total[kTokens][kVecs];
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
    a[t] = args.a + (token + t) * args.a_stride;
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      const float* y = args.y + (token + t) * args.y_stride + v * Simd::kLanes;
      total[t][v] = args.first ? Simd::zero_i() : Simd::load_i(y);
    }
  }
  if constexpr (Simd::kVnni) {
    for (int64_t k = 0; k < args.n; k += kStep) {
      add_products<kTokens>(args.codes + k * kPanelRows, a, k, total);
    }
  } else {
    const I ones = Simd::broadcast_i16(1);
    for (int64_t run = 0; run < args.n; run += kRun) {
      const int64_t end = run + kRun < args.n ? run + kRun : args.n;
      I part[kTokens][kVecs];
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) part[t][v] = Simd::zero_i();
      }
      for (int64_t k = run; k < end; k += kStep) {
        add_products<kTokens>(args.codes + k * kPanelRows, a, k, part);
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
        for (int v = 0; v < kVecs; ++v) {
          total[t][v] = Simd::add_i32(total[t][v], Simd::madd_i16(part[t][v], ones));
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) {
      float* y = args.y + (token + t) * args.y_stride + v * Simd::kLanes;
      if (args.last) {
        const I row_sum = Simd::splat_i32(args.row_sums[token + t]);
        Simd::store_f(y, Simd::sub_f(Simd::to_f(total[t][v]), Simd::to_f(row_sum)));
      } else {
        Simd::store_i(y, total[t][v]);
      }
    }
  }
}

template <int kBits>
void sum_kernel_of(const SumArgs& args) {
  constexpr int kTokens = Simd::kSumTokens;
  int64_t token = 0;
  for (; token + kTokens <= args.n_tokens; token += kTokens) sum_tile<kBits, kTokens>(args, token);
  for (; token + 2 <= args.n_tokens; token += 2) sum_tile<kBits, 2>(args, token);
  for (; token < args.n_tokens; ++token) sum_tile<kBits, 1>(args, token);
}

SumKernel sum_kernel(int code_bits) { return code_bits <= 2 ? sum_kernel_of<2> : sum_kernel_of<4>; }
