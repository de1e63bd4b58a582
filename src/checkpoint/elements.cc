// Elements of a tensor as f32, whatever its type.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "checkpoint/checkpoint.h"

namespace crossval {
namespace {

// Eight bits with so many of exponent and the bias that goes with it (arXiv:2209.05433): E5M2 is as
// IEEE's, E4M3 has no Inf and one NaN.
float f8_to_f32(uint8_t bits, int n_mantissa) {
  const bool is_e5m2 = n_mantissa == 2;
  const int bias = is_e5m2 ? 15 : 7;
  const int exponent = (bits & 0x7f) >> n_mantissa;
  const int mantissa = bits & ((1 << n_mantissa) - 1);
  const float sign = (bits & 0x80) != 0 ? -1.0f : 1.0f;
  if (is_e5m2 && exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  if (!is_e5m2 && (bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const int scaled = exponent == 0 ? mantissa : mantissa + (1 << n_mantissa);
  return sign *
         std::ldexp(static_cast<float>(scaled), (exponent == 0 ? 1 : exponent) - bias - n_mantissa);
}

template <int n_mantissa>
float f8(uint8_t bits) {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> values{};
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = f8_to_f32(static_cast<uint8_t>(i), n_mantissa);
    }
    return values;
  }();
  return table[bits];
}

template <typename Stored, typename Convert>
void read_as(const std::byte* data, int64_t begin, int64_t n, int64_t stride, float* out,
             Convert convert) {
  for (int64_t i = 0; i < n; ++i) {
    Stored value;
    std::memcpy(&value, data + (begin + i * stride) * int64_t{sizeof(Stored)}, sizeof(Stored));
    out[i] = convert(value);
  }
}

template <typename Stored>
float as_float(Stored value) {
  return static_cast<float>(value);
}

// Four bits each (E2M1), the low ones first, times 2^(e - 127) for 32 of them.
void read_mxfp4(const SafetensorsTensor& tensor, int64_t begin, int64_t n, int64_t stride,
                float* out) {
  static constexpr float kValues[] = {0, 0.5f,  1,  1.5f,  2,  3,  4,  6,
                                      0, -0.5f, -1, -1.5f, -2, -3, -4, -6};
  for (int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(begin + i * stride);
    const auto byte = static_cast<unsigned>(tensor.data[at / 2]);
    const int exponent = static_cast<int>(tensor.scales[at / 32]) - 127;
    out[i] = std::ldexp(kValues[at % 2 == 0 ? byte & 15u : byte >> 4], exponent);
  }
}

void multiply_scales(const SafetensorsTensor& tensor, int64_t begin, int64_t n, int64_t stride,
                     float* out) {
  const int64_t n_cols = tensor.shape.back();
  const int64_t n_across = (n_cols + tensor.block_cols - 1) / tensor.block_cols;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = begin + i * stride;
    const int64_t block =
        at / n_cols / tensor.block_rows * n_across + at % n_cols / tensor.block_cols;
    float scale;
    std::memcpy(&scale, tensor.scales.data() + block * int64_t{sizeof scale}, sizeof scale);
    out[i] *= scale;
  }
}

}  // namespace

bool read_elements(const SafetensorsTensor& tensor, int64_t begin, int64_t n, int64_t stride,
                   float* out) {
  const std::byte* data = tensor.data.data();
  const std::string_view type = tensor.dtype;
  if (type == "F32" && stride == 1) {
    std::memcpy(out, data + begin * 4, static_cast<size_t>(n) * 4);
  } else if (type == "F16" && stride == 1) {
    f16_to_f32_row(data + begin * 2, n, out);
  } else if (type == "BF16" && stride == 1) {
    bf16_to_f32_row(data + begin * 2, n, out);
  } else if (type == "F32") {
    read_as<float>(data, begin, n, stride, out, as_float<float>);
  } else if (type == "F16") {
    read_as<uint16_t>(data, begin, n, stride, out, f16_to_f32);
  } else if (type == "BF16") {
    read_as<uint16_t>(data, begin, n, stride, out, bf16_to_f32);
  } else if (type == "F64") {
    read_as<double>(data, begin, n, stride, out, as_float<double>);
  } else if (type == "F8_E4M3") {
    read_as<uint8_t>(data, begin, n, stride, out, f8<3>);
  } else if (type == "F8_E5M2") {
    read_as<uint8_t>(data, begin, n, stride, out, f8<2>);
  } else if (type == "MXFP4") {
    read_mxfp4(tensor, begin, n, stride, out);
    return true;
  } else if (type == "I64") {
    read_as<int64_t>(data, begin, n, stride, out, as_float<int64_t>);
  } else if (type == "I32") {
    read_as<int32_t>(data, begin, n, stride, out, as_float<int32_t>);
  } else {
    return false;
  }
  if (tensor.block_rows != 0) multiply_scales(tensor, begin, n, stride, out);
  return true;
}

}  // namespace crossval
