#include "quant/i2_s_wraps.h"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <vector>

#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr int kBlock = 128, kBlockBytes = 32, kSums = 16;
constexpr int64_t kBlocksPerSum = 32;  // 4096 weights

}  // namespace

I2sSums i2_s_sums(const uint8_t* codes, const int8_t* activations, int64_t n) {
  assert(n % kBlock == 0);
  I2sSums sums = {0, 0};
  for (int64_t start = 0; start < n; start += kBlocksPerSum * kBlock) {
    int32_t lanes[kSums] = {};
    const int64_t end = std::min(n, start + kBlocksPerSum * kBlock);
    for (int64_t i = start; i < end; ++i) lanes[i % 32 / 2] += codes[i] * activations[i];
    for (const int32_t lane : lanes) {
      sums.exact += lane;
      sums.kernel += static_cast<int16_t>(static_cast<uint32_t>(lane) & 0xffffu);
    }
  }
  return sums;
}

int32_t i2_s_worst_sum(const std::byte* row, int64_t n) {
  int32_t worst = 0;
  const int64_t n_blocks = n / kBlock;
  for (int64_t start = 0; start < n_blocks; start += kBlocksPerSum) {
    uint16_t of_byte[kBlockBytes] = {};
    for (int64_t i = start; i < std::min(n_blocks, start + kBlocksPerSum); ++i) {
      for (int p = 0; p < kBlockBytes; ++p) {
        const auto packed = static_cast<unsigned>(row[i * kBlockBytes + p]);
        const unsigned pairs = (packed & 0x33u) + (packed >> 2 & 0x33u);
        of_byte[p] = static_cast<uint16_t>(of_byte[p] + (pairs & 15u) + (pairs >> 4));
      }
    }
    for (int l = 0; l < kSums; ++l) {
      worst = std::max(worst, 127 * (of_byte[2 * l] + of_byte[2 * l + 1]));
    }
  }
  return worst;
}

I2sWrapRisk i2_s_wrap_risk(const TensorView& tensor, ThreadPool& pool) {
  const WeightView w = weight_view(tensor);
  assert(w.format == &kI2_S);
  I2sWrapRisk risk;
  std::mutex mutex;
  const int64_t rows_per_item = std::max<int64_t>(1, (int64_t{1} << 20) / w.row_bytes);
  pool.run((w.n_rows + rows_per_item - 1) / rows_per_item, [&](int64_t item, int) {
    I2sWrapRisk part;
    const int64_t end = std::min(w.n_rows, (item + 1) * rows_per_item);
    for (int64_t row = item * rows_per_item; row < end; ++row) {
      const int32_t worst = i2_s_worst_sum(w.data + row * w.row_bytes, w.row_len);
      part.n_rows += worst > INT16_MAX ? 1 : 0;
      part.largest = std::max(part.largest, worst);
    }
    const std::lock_guard lock(mutex);
    risk.n_rows += part.n_rows;
    risk.largest = std::max(risk.largest, part.largest);
  });
  return risk;
}

I2sWraps find_i2_s_wraps(const WeightView& w, const float* x, int64_t x_stride, int64_t n_tokens,
                         ThreadPool& pool) {
  assert(w.format == &kI2_S);
  PreparedActivations rounded;
  prepare_activations(x, x_stride, n_tokens, w.row_len, *w.format, Numerics::ggml, rounded, pool);
  I2sWraps found;
  std::mutex mutex;
  pool.run(w.n_rows, [&](int64_t row, int) {
    std::vector<uint8_t> codes(static_cast<size_t>(w.row_len));
    std::vector<float> d(static_cast<size_t>(w.row_len / w.format->sub_block_len));
    w.format->unpack(w.data + row * w.row_bytes, w.row_len, codes.data(), d.data(), nullptr);
    for (int64_t token = 0; token < n_tokens; ++token) {
      const I2sSums sums =
          i2_s_sums(codes.data(), rounded.codes.data() + token * w.row_len, w.row_len);
      if (!sums.wrapped()) continue;
      const std::lock_guard lock(mutex);
      ++found.n_outputs;
      if (found.token < 0 || std::pair(token, row) < std::pair(found.token, found.row)) {
        found.token = token;
        found.row = row;
        found.sums = sums;
      }
    }
  });
  return found;
}

}  // namespace crossval
