// The self-test behind isa.cc: every kernel of a table on made-up data against the reference.
#include "quant/kernels_check.h"

#include <cstring>
#include <vector>

namespace crossval {
namespace {

// A fixed sequence (PCG-like), so that a failure is the same on every run.
class Numbers {
 public:
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  float next_float() {
    return static_cast<float>(static_cast<int32_t>(next() % 20001) - 10000) / 3e3f;
  }

 private:
  uint64_t state_ = 42;
};

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Sizes with whole tiles and every remainder of tokens; two parts, so that sums are continued.
constexpr int64_t kTokens = 31, kSubs = 4;

bool int_kernels_agree(const Kernels& kernels, int bits, int sub_len, bool has_min,
                       Numbers& numbers) {
  const int64_t n = kSubs * sub_len;
  std::vector<uint8_t> codes(static_cast<size_t>(n * kPanelRows));
  std::vector<float> d(static_cast<size_t>(kSubs * kPanelRows)), m(d.size());
  std::vector<int8_t> a(static_cast<size_t>(kTokens * n));
  std::vector<float> da(static_cast<size_t>(kTokens * kSubs)), sa(da.size());
  std::vector<int32_t> sums(da.size());
  // Extremes often: the largest codes and activations are what would overflow.
  for (auto& c : codes) {
    const uint32_t r = numbers.next();
    c = static_cast<uint8_t>((r & 3) == 0 ? (1 << bits) - 1 : (r >> 2) & ((1u << bits) - 1));
  }
  for (auto& c : a) {
    const uint32_t r = numbers.next();
    c = static_cast<int8_t>((r & 3) == 0   ? 127
                            : (r & 3) == 1 ? -127
                                           : static_cast<int>(r % 255) - 127);
  }
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) a[i] = 127;  // token 0: all of them
  for (auto* values : {&d, &m, &da, &sa}) {
    for (float& f : *values) f = numbers.next_float();
  }
  // A format with a minimum has offset 0, and so no sums.
  for (auto& s : sums) s = has_min ? 0 : static_cast<int32_t>(numbers.next() % 100000) - 50000;
  std::vector<float> want(static_cast<size_t>(kTokens * kPanelRows)), got(want.size());
  for (std::vector<float>* y : {&want, &got}) {
    const Kernels* table = y == &got ? &kernels : &scalar_kernels();
    for (const bool first : {true, false}) {
      table->int_kernel(bits, sub_len, has_min)({.codes = codes.data(),
                                                 .d = d.data(),
                                                 .m = m.data(),
                                                 .n_sub = kSubs,
                                                 .a = a.data(),
                                                 .a_stride = n,
                                                 .da = da.data(),
                                                 .sa = sa.data(),
                                                 .sums = sums.data(),
                                                 .sub_stride = kTokens,
                                                 .n_tokens = kTokens,
                                                 .y = y->data(),
                                                 .y_stride = kPanelRows,
                                                 .first = first});
    }
  }
  return same_bits(want, got);
}

// In two parts, the first as long as a run of 128 weights in int16 and a bit, all at their limits.
bool sum_kernels_agree(const Kernels& kernels, int bits, Numbers& numbers) {
  constexpr int64_t kParts[] = {288, 128}, kLen = kParts[0] + kParts[1];
  std::vector<uint8_t> codes(static_cast<size_t>(kLen * kPanelRows));
  std::vector<int8_t> a(static_cast<size_t>(kTokens * kLen));
  std::vector<int32_t> row_sums(static_cast<size_t>(kTokens));
  for (auto& c : codes) {
    const uint32_t r = numbers.next();
    c = static_cast<uint8_t>(((r & 1) == 0 ? ~0u : r >> 1) & ((1u << bits) - 1));
  }
  std::fill_n(codes.begin(), kLen * kPanelRows / 2, static_cast<uint8_t>((1 << bits) - 1));
  for (auto& c : a) c = static_cast<int8_t>(numbers.next());
  std::fill_n(a.begin(), kLen, int8_t{-128});
  std::fill_n(a.begin() + kLen, kLen, int8_t{127});
  for (auto& s : row_sums) s = static_cast<int32_t>(numbers.next() % 100000) - 50000;
  std::vector<float> want(static_cast<size_t>(kTokens * kPanelRows)), got(want.size());
  for (std::vector<float>* y : {&want, &got}) {
    const Kernels* table = y == &got ? &kernels : &scalar_kernels();
    for (const bool first : {true, false}) {
      const int64_t start = first ? 0 : kParts[0];
      table->sum_kernel(bits)({.codes = codes.data() + start * kPanelRows,
                               .n = kParts[first ? 0 : 1],
                               .a = a.data() + start,
                               .a_stride = kLen,
                               .row_sums = row_sums.data(),
                               .n_tokens = kTokens,
                               .y = y->data(),
                               .y_stride = kPanelRows,
                               .first = first,
                               .last = !first});
    }
  }
  return same_bits(want, got);
}

bool float_kernels_agree(const Kernels& kernels, Numbers& numbers) {
  constexpr int64_t kLen = kFloatChunk + 37;
  std::vector<float> w(static_cast<size_t>(kLen * kPanelRows)),
      x(static_cast<size_t>(kLen * kTokens));
  for (auto* values : {&w, &x}) {
    for (float& f : *values) f = numbers.next_float();
  }
  std::vector<float> want(static_cast<size_t>(kTokens * kPanelRows)), got(want.size());
  for (std::vector<float>* y : {&want, &got}) {
    const Kernels* table = y == &got ? &kernels : &scalar_kernels();
    for (const bool first : {true, false}) {
      table->float_kernel({.w = w.data(),
                           .n = kLen,
                           .x = x.data(),
                           .x_stride = kLen,
                           .n_tokens = kTokens,
                           .y = y->data(),
                           .y_stride = kPanelRows,
                           .first = first});
    }
  }
  return same_bits(want, got);
}

// Against the reference's two steps, which one token must not differ from.
bool coded_kernels_agree(const Kernels& kernels, Numbers& numbers) {
  constexpr int64_t kLen = 5 * kFloatChunk + 32;
  std::vector<uint8_t> codes(static_cast<size_t>(kLen * kPanelRows));
  for (auto& c : codes) c = static_cast<uint8_t>(numbers.next());
  std::vector<float> d(static_cast<size_t>(kLen / 16 * kPanelRows)), m(d.size()),
      x(static_cast<size_t>(kLen)), w(codes.size());
  for (auto* values : {&d, &m, &x}) {
    for (float& f : *values) f = numbers.next_float();
  }
  const CodePanel panel = {codes.data(), d.data(), m.data()};
  for (const int sub_len : {16, 32}) {
    for (const bool has_min : {false, true}) {
      const int offset = has_min ? 0 : 128;
      scalar_kernels().expand_codes(panel, kLen, sub_len, offset, has_min, w.data());
      std::vector<float> want(kPanelRows), got(kPanelRows);
      for (const bool first : {true, false}) {
        scalar_kernels().float_kernel({w.data(), kLen, x.data(), kLen, 1, want.data(), 0, first});
        kernels.coded_kernel(
            {panel, kLen, sub_len, offset, has_min, x.data(), got.data(), first, nullptr, 0});
      }
      if (!same_bits(want, got)) return false;
    }
  }
  return true;
}

bool layouts_agree(const Kernels& kernels, Numbers& numbers) {
  constexpr int64_t kLen = 96, kStride = 100;
  std::vector<uint8_t> rows(kStride * kPanelRows), want(kLen * kPanelRows), got(want.size());
  for (auto& c : rows) c = static_cast<uint8_t>(numbers.next());
  scalar_kernels().interleave_codes(rows.data(), kStride, kLen, want.data());
  kernels.interleave_codes(rows.data(), kStride, kLen, got.data());
  if (!same_bits(want, got)) return false;

  std::vector<float> d(kLen / 16 * kPanelRows), m(d.size());
  for (auto* values : {&d, &m}) {
    for (float& f : *values) f = numbers.next_float();
  }
  std::vector<float> wide(kLen * kPanelRows), wide_got(wide.size());
  for (const int sub_len : {16, 32}) {
    for (const bool has_min : {false, true}) {
      const CodePanel panel = {want.data(), d.data(), m.data()};
      const int offset = has_min ? 0 : 7;
      scalar_kernels().expand_codes(panel, kLen, sub_len, offset, has_min, wide.data());
      kernels.expand_codes(panel, kLen, sub_len, offset, has_min, wide_got.data());
      if (!same_bits(wide, wide_got)) return false;
    }
  }
  constexpr int64_t kOdd = 45;
  std::vector<float> floats(kStride * kPanelRows), a(kOdd * kPanelRows), b(a.size());
  for (float& f : floats) f = numbers.next_float();
  scalar_kernels().interleave_floats(floats.data(), kStride, kOdd, a.data());
  kernels.interleave_floats(floats.data(), kStride, kOdd, b.data());
  return same_bits(a, b);
}

bool roundings_agree(const Kernels& kernels, Numbers& numbers) {
  constexpr int64_t kLen = 1024;
  std::vector<float> x(kLen);
  for (int64_t i = 0; i < kLen; ++i) {
    x[static_cast<size_t>(i)] = numbers.next_float() * (i < 256 ? 1e-6f : 1.0f);
  }
  for (size_t i = 512; i < 544; ++i) x[i] = 0.0f;
  const auto round_with = [&](const Kernels& table, bool q8_k, int sub_len,
                              std::vector<int8_t>& codes, std::vector<float>& scales,
                              std::vector<int32_t>& sums) {
    codes.assign(kLen, 0);
    scales.assign(kLen, 0.0f);
    sums.assign(kLen, 0);
    const RoundedRow row = {1, codes.data(), scales.data(), scales.data() + kLen / 2, sums.data()};
    if (q8_k) {
      table.round_q8_k(x.data(), kLen, 32, sub_len, row);
    } else {
      table.round_q8(x.data(), kLen, 8, true, sub_len, row);
    }
  };
  for (const bool q8_k : {false, true}) {
    for (const int sub_len : {16, 32}) {
      std::vector<int8_t> codes[2];
      std::vector<float> scales[2];
      std::vector<int32_t> sums[2];
      round_with(scalar_kernels(), q8_k, sub_len, codes[0], scales[0], sums[0]);
      round_with(kernels, q8_k, sub_len, codes[1], scales[1], sums[1]);
      if (!same_bits(codes[0], codes[1]) || !same_bits(scales[0], scales[1]) ||
          !same_bits(sums[0], sums[1])) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string check_kernels(const Kernels& kernels) {
  Numbers numbers;
  for (const int bits : {4, 5, 6, 7, 8}) {
    for (const int sub_len : {16, 32}) {
      for (const bool has_min : {false, true}) {
        if (!int_kernels_agree(kernels, bits, sub_len, has_min, numbers)) {
          return "integer kernel, " + std::to_string(bits) + " bits, sub-blocks of " +
                 std::to_string(sub_len);
        }
      }
    }
  }
  for (const int bits : {2, 4}) {
    if (!sum_kernels_agree(kernels, bits, numbers)) {
      return "kernel of integer sums, " + std::to_string(bits) + " bits";
    }
  }
  if (!float_kernels_agree(kernels, numbers)) return "float kernel";
  if (!coded_kernels_agree(kernels, numbers)) return "float kernel on codes";
  if (!layouts_agree(kernels, numbers)) return "interleaving or expansion";
  if (!roundings_agree(kernels, numbers)) return "rounding of activations";
  return "";
}

}  // namespace crossval
