#include "conversion/element_source.h"

#include <algorithm>
#include <cmath>

namespace crossval {
namespace {

// exp, sums and products in f32, by whatever library: a few units of the last place.
constexpr float kComputed = 0x1p-21f;
// Where the converter computed in f16 because the checkpoint is stored so.
constexpr float kComputedHalf = 0x1p-10f;

}  // namespace

ElementSource::ElementSource(const CheckpointSource& source, const Checkpoint& checkpoint)
    : source_(source) {
  if (!source.computed.empty()) {
    n_elements_ = static_cast<int64_t>(source.computed.size());
    slack_ = 1e-5f;
    is_16_bit_ = false;
    return;
  }
  for (const CheckpointPart& part : source.parts) {
    if (!add(part, checkpoint)) is_valid_ = false;
  }
}

bool ElementSource::add(const CheckpointPart& part, const Checkpoint& checkpoint) {
  const SafetensorsTensor* tensor = nullptr;
  if (!part.name.empty()) {
    tensor = checkpoint.find(part.name);
    if (tensor == nullptr || part.n_rows() < 1 || part.n_cols < 1) return false;
    // Steps are never negative, so the last element of the last row is the farthest.
    const int64_t last = part.row_begin(part.n_rows() - 1) + (part.n_cols - 1) * part.col_stride;
    float probe = 0;
    if (part.offset < 0 || last >= tensor->n_elements() ||
        !read_elements(*tensor, 0, 1, 1, &probe)) {
      return false;
    }
    is_16_bit_ = is_16_bit_ && tensor->dtype != "F32" && tensor->dtype != "F64";
    const bool is_scaled = tensor->block_rows != 0 && tensor->dtype != "MXFP4";
    const bool is_computed = source_.values != CheckpointValues::as_is || part.factor != 1 ||
                             source_.also_added != 0 || is_scaled;
    if (is_computed) {
      slack_ = std::max(slack_, tensor->dtype == "F16" ? kComputedHalf : kComputed);
      is_16_bit_ = false;
    }
    n_bytes_ += part.n_rows() * part.n_cols * static_cast<int64_t>(tensor->data.size()) /
                std::max<int64_t>(tensor->n_elements(), 1);
  }
  pieces_.push_back({&part, tensor, n_elements_});
  n_elements_ += part.n_rows() * part.n_cols;
  return true;
}

void ElementSource::change(float factor, int64_t n, float* out) const {
  if (factor != 1) {
    for (int64_t i = 0; i < n; ++i) out[i] *= factor;
  }
  if (source_.values == CheckpointValues::plus_one) {
    for (int64_t i = 0; i < n; ++i) out[i] += 1;
  } else if (source_.values == CheckpointValues::minus_exp) {
    for (int64_t i = 0; i < n; ++i) out[i] = -std::exp(out[i]);
  }
  for (int64_t i = 0; source_.also_added != 0 && i < n; ++i) out[i] += source_.also_added;
}

void ElementSource::read(int64_t begin, int64_t n, float* out) const {
  if (!source_.computed.empty()) {
    std::copy_n(source_.computed.begin() + begin, n, out);
    return;
  }
  auto piece = std::ranges::upper_bound(pieces_, begin, {}, &Piece::first) - 1;
  while (n > 0) {
    const CheckpointPart& part = *piece->part;
    const int64_t within = begin - piece->first;
    const int64_t row = within / part.n_cols, column = within % part.n_cols;
    if (row >= part.n_rows()) {
      ++piece;
      continue;
    }
    int64_t n_here = std::min(n, part.n_cols - column);
    // Rows that lie one behind the other are read at once.
    const bool is_plain =
        part.rows.size() == 1 && part.col_stride == 1 && part.rows[0].stride == part.n_cols;
    if (is_plain) n_here = std::min(n, part.n_rows() * part.n_cols - within);
    if (piece->tensor == nullptr) {
      std::fill_n(out, n_here, 0.0f);
    } else {
      const int64_t at =
          is_plain ? part.offset + within : part.row_begin(row) + column * part.col_stride;
      read_elements(*piece->tensor, at, n_here, is_plain ? 1 : part.col_stride, out);
      change(part.factor, n_here, out);
    }
    out += n_here;
    begin += n_here;
    n -= n_here;
  }
}

}  // namespace crossval
