#include "conversion/weight_rule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/half.h"

namespace crossval {
namespace {

constexpr float kEnd = std::numeric_limits<float>::max();
constexpr size_t kShownBlocks = 8;

// How a type's codes are chosen. Source: ggml/src/ggml-quants.c of llama.cpp, quantize_row_*_ref
// and *_impl.
struct GridRow {
  GgmlType type;
  int n_codes;  // evenly spaced; 0 = another grid (set_grid)
  // Codes are the nearest under the scale before it was rounded to f16 (or after: 0).
  float scale_rounding;
  // A scale is one of so many steps of its block's; 0 = a block has one scale.
  float scale_steps;
};

constexpr float kHalfRounding = 0x1p-11f;

constexpr GridRow kGrids[] = {
    {GgmlType::Q4_0, 16, kHalfRounding, 0},
    {GgmlType::Q4_1, 16, kHalfRounding, 0},
    {GgmlType::Q5_0, 32, kHalfRounding, 0},
    {GgmlType::Q5_1, 32, kHalfRounding, 0},
    {GgmlType::Q8_0, 256, kHalfRounding, 0},
    {GgmlType::Q6_0, 64, kHalfRounding, 0},
    {GgmlType::Q2_K, 4, 0, 15},
    {GgmlType::Q3_K, 8, 0, 31},
    {GgmlType::Q4_K, 16, 0, 63},
    {GgmlType::Q5_K, 32, 0, 63},
    {GgmlType::Q6_K, 64, 0, 127},
    {GgmlType::IQ4_NL, 0, kHalfRounding, 0},
    {GgmlType::IQ4_XS, 0, kHalfRounding, 31},
    {GgmlType::MXFP4, 0, 0, 0},
    {GgmlType::TQ1_0, 0, kHalfRounding, 0},
    {GgmlType::TQ2_0, 0, kHalfRounding, 0},
};

const GridRow* find_grid(GgmlType type) {
  for (const GridRow& row : kGrids) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

// A lattice's block is wrong where its error is larger than what it stands for; 1-bit types reach
// half of it.
constexpr double kLatticeShare = 1.0;
constexpr int64_t kLatticeLen = 256;

}  // namespace

void WrongWeights::add(int64_t element, float by_checkpoint, float in_file) {
  if (n_wrong++ == 0) {
    first = element;
    expected = by_checkpoint;
    actual = in_file;
  }
}

void WrongWeights::end_block(int64_t block, int64_t n_before) {
  if (n_wrong == n_before) return;
  ++n_blocks;
  if (blocks.size() < kShownBlocks) blocks.push_back(block);
}

void WrongWeights::merge(const WrongWeights& other) {
  if (other.n_wrong == 0) return;
  if (n_wrong == 0 || other.first < first) {
    first = other.first;
    expected = other.expected;
    actual = other.actual;
  }
  n_wrong += other.n_wrong;
  n_blocks += other.n_blocks;
  blocks.insert(blocks.end(), other.blocks.begin(), other.blocks.end());
  std::ranges::sort(blocks);
  if (blocks.size() > kShownBlocks) blocks.resize(kShownBlocks);
}

WeightRule::WeightRule(const TensorView& tensor, float slack)
    : tensor_(tensor), format_(find_format(tensor.type)), slack_(slack) {
  if (format_ == nullptr || format_->has_tensor_scale || format_->row_scale.n_bytes != 0 ||
      format_->rows_together != 1 || format_->row_bytes_multiple != 1 || tensor.shape.empty() ||
      tensor.n_rows() < 1) {
    return;
  }
  row_len_ = tensor.shape[0];
  row_bytes_ = row_len_ / format_->block_len * format_->block_bytes;
  if (format_->sub_block_len == 0) {
    kind_ = Kind::floats;
  } else if (const GridRow* row = find_grid(tensor.type)) {
    kind_ = Kind::grid;
    scale_rounding_ = row->scale_rounding;
    unit_ratio_ = row->scale_steps == 0 ? 0 : 1 / row->scale_steps;
    set_grid(row->n_codes);
  } else {
    kind_ = Kind::lattice;
  }
}

int WeightRule::block_len() const {
  return kind_ == Kind::floats ? 1 : static_cast<int>(format_->block_len);
}

const std::byte* WeightRule::row_bytes(int64_t row) const {
  return tensor_.data.data() + row * row_bytes_;
}

// Codes that a type has, in order, and half the way to their neighbours.
void WeightRule::set_grid(int n_codes) {
  std::vector<int> codes;
  switch (tensor_.type) {
    case GgmlType::IQ4_NL:
    case GgmlType::IQ4_XS:
      // kvalues_iq4nl of ggml-common.h, less the format's offset.
      for (const int value :
           {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}) {
        codes.push_back(value + format_->offset);
      }
      break;
    case GgmlType::MXFP4:
      for (const int value : {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12}) {
        codes.push_back(value + format_->offset);
      }
      break;
    case GgmlType::TQ1_0:
    case GgmlType::TQ2_0:
      for (const int value : {-1, 0, 1}) codes.push_back(value + format_->offset);
      break;
    default:
      for (int code = 0; code < n_codes; ++code) codes.push_back(code);
      // Q8_0 never has -128.
      if (tensor_.type == GgmlType::Q8_0) codes.erase(codes.begin());
      even_steps_ = 0.5f;
      break;
  }
  n_steps_ = static_cast<float>(codes.back() - codes.front());
  steps_.assign(256, {0, 0});
  for (size_t i = 0; i < codes.size(); ++i) {
    Steps& steps = steps_[static_cast<size_t>(codes[i])];
    const auto half = [](int a, int b) { return 0.5f * static_cast<float>(b - a); };
    steps.below = i == 0 ? kEnd : half(codes[i - 1], codes[i]);
    steps.above = i + 1 == codes.size() ? kEnd : half(codes[i], codes[i + 1]);
  }
}

// Whether the row's bytes are those of the rounded values: nearly all rows are.
bool WeightRule::is_stored_so(int64_t row, const float* x) const {
  const std::byte* stored = row_bytes(row);
  const auto n_bytes = static_cast<size_t>(row_bytes_);
  if (tensor_.type == GgmlType::F32) return std::memcmp(stored, x, n_bytes) == 0;
  if (tensor_.type != GgmlType::F16 && tensor_.type != GgmlType::BF16) return false;
  thread_local std::vector<uint16_t> rounded;
  rounded.resize(static_cast<size_t>(row_len_));
  if (tensor_.type == GgmlType::F16) {
    f32_to_f16_row(x, row_len_, rounded.data());
  } else {
    for (size_t i = 0; i < rounded.size(); ++i) rounded[i] = f32_to_bf16(x[i]);
  }
  return std::memcmp(stored, rounded.data(), n_bytes) == 0;
}

void WeightRule::check_floats(const float* got, const float* x, int64_t first,
                              WrongWeights& out) const {
  for (int64_t i = 0; i < row_len_; ++i) {
    float expected = x[i];
    if (tensor_.type == GgmlType::F16) expected = f16_to_f32(f32_to_f16(expected));
    if (tensor_.type == GgmlType::BF16) expected = bf16_to_f32(f32_to_bf16(expected));
    if (got[i] == expected || (std::isnan(got[i]) && std::isnan(expected))) continue;
    // Values that were computed may fall on the other side of a rounding.
    const float unit = tensor_.type == GgmlType::F16    ? 0x1p-10f
                       : tensor_.type == GgmlType::BF16 ? 0x1p-7f
                                                        : 0;
    const float allowed = slack_ == 0 ? 0 : slack_ + unit;
    // Subnormal bf16 may have been flushed to zero by older converters.
    if (std::abs(got[i] - expected) <= allowed * std::abs(expected)) continue;
    if (std::abs(expected) < 0x1p-126f && got[i] == 0) continue;
    out.add(first + i, x[i], got[i]);
  }
}

void WeightRule::check_grid(int64_t row, const float* x, WrongWeights& out) const {
  const int sub_len = format_->sub_block_len;
  const int64_t n_subs = row_len_ / sub_len, first = row * row_len_;
  thread_local std::vector<uint8_t> codes;
  thread_local std::vector<float> d, m;
  codes.resize(static_cast<size_t>(row_len_));
  d.resize(static_cast<size_t>(n_subs));
  m.assign(static_cast<size_t>(n_subs), 0.0f);
  format_->unpack(row_bytes(row), row_len_, codes.data(), d.data(), m.data());
  const auto offset = static_cast<float>(format_->offset);
  const int subs_in_block = format_->block_len / sub_len;
  int64_t n_before = out.n_wrong;
  for (int64_t sub = 0; sub < n_subs; ++sub) {
    const auto at = static_cast<size_t>(sub);
    if (sub % subs_in_block == 0) n_before = out.n_wrong;
    const float* xs = x + sub * sub_len;
    const uint8_t* cs = codes.data() + sub * sub_len;
    const float scale = d[at], min = m[at];
    const auto largest_of = [&](int64_t one) {
      float largest = 0;
      const auto block = static_cast<size_t>(one / subs_in_block * subs_in_block);
      for (size_t i = block; i < block + static_cast<size_t>(subs_in_block); ++i) {
        largest = std::max(largest, std::abs(d[i]));
      }
      return largest;
    };
    if (scale == 0) {
      const float largest = largest_of(sub);
      // What is lost is less than half a step of the scale's scale, times the largest code; twice
      // that is let pass, since the largest of the block need not be the largest there is.
      const float lost = n_steps_ * (largest * unit_ratio_ + 0x1p-24f);
      for (int i = 0; i < sub_len; ++i) {
        if (!(std::abs(xs[i] - min) <= lost + 0.01f * std::abs(min))) {
          out.add(first + sub * sub_len + i, xs[i], min);
        }
      }
    } else {
      const float inverse = 1 / scale;
      // In steps: of values computed, of a minimum that was rounded after codes were chosen.
      const float sure = even_steps_ + 1e-3f;
      const float least = 1e-3f + std::abs(min * inverse) * (scale_rounding_ + 0x1p-21f);
      int n_far = 0;
      for (int i = 0; i < sub_len; ++i) {
        const float delta = (xs[i] - min) * inverse + offset - static_cast<float>(cs[i]);
        n_far += std::abs(delta) <= sure ? 0 : 1;
      }
      // The scale that was rounded: small ones are f16 without all their bits.
      const float stored = unit_ratio_ == 0 ? std::abs(scale) : largest_of(sub) * unit_ratio_;
      const float rounding =
          scale_rounding_ == 0 ? 0 : std::max(scale_rounding_, 0x1.1p-25f / stored);
      for (int i = 0; n_far != 0 && i < sub_len; ++i) {
        const float code = static_cast<float>(cs[i]) - offset;
        const float value = (xs[i] - min) * inverse;
        const float delta = value - code;
        const float slack =
            least + std::max(std::abs(code), std::abs(value)) * rounding + std::abs(value) * slack_;
        const Steps& steps = steps_[cs[i]];
        if (delta >= -steps.below - slack && delta <= steps.above + slack) continue;
        out.add(first + sub * sub_len + i, xs[i], min + scale * code);
      }
    }
    if ((sub + 1) % subs_in_block == 0) {
      out.end_block((first + sub * sub_len) / format_->block_len, n_before);
    }
  }
}

void WeightRule::check_lattice(const float* got, const float* x, int64_t first,
                               WrongWeights& out) const {
  for (int64_t begin = 0; begin < row_len_; begin += kLatticeLen) {
    const int64_t n = std::min(kLatticeLen, row_len_ - begin);
    double error = 0, size = 0;
    for (int64_t i = begin; i < begin + n; ++i) {
      const double difference = double{got[i]} - x[i];
      error += difference * difference;
      size += double{x[i]} * x[i];
    }
    if (error <= kLatticeShare * size) continue;
    const int64_t n_before = out.n_wrong;
    for (int64_t i = begin; i < begin + n; ++i) out.add(first + i, x[i], got[i]);
    out.end_block((first + begin) / format_->block_len, n_before);
  }
}

void WeightRule::check_row(int64_t row, Between between, float* x, WrongWeights& out) const {
  for (int64_t i = 0; between == Between::f16 && i < row_len_; ++i) {
    x[i] = f16_to_f32(f32_to_f16(x[i]));
  }
  for (int64_t i = 0; between == Between::bf16 && i < row_len_; ++i) {
    x[i] = bf16_to_f32(f32_to_bf16(x[i]));
  }
  if (kind_ == Kind::grid) return check_grid(row, x, out);
  if (kind_ == Kind::floats && is_stored_so(row, x)) return;
  thread_local std::vector<float> got;
  got.resize(static_cast<size_t>(row_len_));
  format_->dequantize(row_bytes(row), row_len_, got.data());
  if (kind_ == Kind::floats) return check_floats(got.data(), x, row * row_len_, out);
  check_lattice(got.data(), x, row * row_len_, out);
}

}  // namespace crossval
