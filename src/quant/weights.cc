// Views of stored weights: what a tensor must look like to be multiplied with, single rows, and
// the search for weights that are not finite.
#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "quant/format_rows.h"
#include "quant/matmul.h"

namespace crossval {
namespace {

std::string format_names() {
  std::string names;
  for (const Format* format : all_formats()) {
    const TypeInfo* info = find_type(static_cast<uint32_t>(format->type));
    if (info == nullptr) continue;
    if (!names.empty()) names += ", ";
    names += info->name;
  }
  return names;
}

}  // namespace

WeightView weight_view(const TensorView& tensor) {
  const Format* format = tensor.type == GgmlType::I2_S ? find_i2_s_format(tensor.i2_s_layout)
                                                       : find_format(tensor.type);
  if (format == nullptr) {
    const TypeInfo* info = find_type(static_cast<uint32_t>(tensor.type));
    const std::string name = info != nullptr
                                 ? std::string(info->name)
                                 : "id " + std::to_string(static_cast<uint32_t>(tensor.type));
    bad_input("unsupported_type", "The native engine cannot read weights of type " + name,
              "tensor " + tensor.name,
              "Quantise the model to one of the types it reads: " + format_names());
  }
  WeightView view;
  view.format = format;
  view.row_len = tensor.shape.empty() ? 0 : tensor.shape[0];
  view.n_rows = tensor.n_rows();
  const int64_t multiple = format->row_bytes_multiple;
  const int64_t block_bytes = view.row_len / format->block_len * format->block_bytes;
  view.row_bytes = format->row_scale.n_bytes + (block_bytes + multiple - 1) / multiple * multiple;
  const auto stored = static_cast<int64_t>(tensor.data.size());
  if (view.row_len <= 0 || view.row_len % format->block_len != 0 ||
      (view.row_bytes > 0 && stored / view.row_bytes < view.n_rows)) {
    bad_input("bad_tensor_shape",
              "A row of " + std::to_string(view.row_len) + " weights in " + std::to_string(stored) +
                  " bytes does not fit the type's blocks",
              "tensor " + tensor.name, "Convert or download the model again");
  }
  // Of experts, each one's rows are interleaved by themselves.
  const int64_t rows_of_one = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  if (rows_of_one % format->rows_together != 0) {
    bad_input("bad_tensor_shape",
              std::to_string(rows_of_one) + " rows are no whole number of " +
                  std::to_string(format->rows_together) + " interleaved ones",
              "tensor " + tensor.name, "Quantise the tensor to a type that is not interleaved");
  }
  view.data = tensor.data.data() + int64_t{format->rows_together} * format->row_scale.n_bytes;
  if (format->has_tensor_scale) {
    const int64_t at = view.row_bytes * view.n_rows;
    if (stored - at < static_cast<int64_t>(sizeof(float))) {
      bad_input("bad_tensor_shape", "The tensor ends before its scale", "tensor " + tensor.name,
                "Convert or download the model again");
    }
    view.tensor_scale = load_as<float>(view.data + at);
  }
  return view;
}

float WeightView::row_scale(int64_t row) const {
  const int n_bytes = format->row_scale.n_bytes;
  if (n_bytes == 0) return tensor_scale;
  const int64_t in_group = row % format->rows_together;
  const std::byte* at = data + (row - in_group) * row_bytes;
  at -= (format->rows_together - in_group) * n_bytes;
  return n_bytes == 2 ? f16_to_f32(load_as<uint16_t>(at)) : load_as<float>(at);
}

void WeightView::unpack(int64_t row, int64_t first, int64_t n, uint8_t* codes, float* d,
                        float* m) const {
  const int64_t together = format->rows_together, in_group = row % together;
  const std::byte* at = data + (row - in_group) * row_bytes +
                        first / format->block_len * format->block_bytes * together;
  if (together > 1) {
    format->unpack_one(at, static_cast<int>(in_group), n, codes, d, m);
  } else {
    format->unpack(at, n, codes, d, m);
  }
  if (!format->row_scale.in_d) return;
  const float scale = row_scale(row);
  for (int64_t sub = 0; sub < n / format->sub_block_len; ++sub) d[sub] *= scale;
}

namespace {

// A row of codes whose blocks alone do not say what its weights are.
void get_unpacked_row(const WeightView& w, int64_t row, float* out) {
  constexpr int64_t kPart = 1024, kMinSubLen = 16;
  uint8_t codes[kPart];
  float d[kPart / kMinSubLen], m[kPart / kMinSubLen];
  const Format& format = *w.format;
  for (int64_t first = 0; first < w.row_len; first += kPart) {
    const int64_t n = std::min(kPart, w.row_len - first);
    w.unpack(row, first, n, codes, d, m);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t sub = i / format.sub_block_len;
      const float weight = d[sub] * static_cast<float>(codes[i] - format.offset);
      out[first + i] = format.has_min ? weight + m[sub] : weight;
    }
  }
}

}  // namespace

void get_row(const WeightView& w, int64_t row, float* out) {
  assert(row >= 0 && row < w.n_rows);
  if (w.format->rows_together > 1 || w.format->row_scale.in_d) {
    get_unpacked_row(w, row, out);
  } else {
    w.format->dequantize(w.data + row * w.row_bytes, w.row_len, out);
  }
  if (!w.scales_results()) return;
  const float scale = w.row_scale(row);
  for (int64_t i = 0; i < w.row_len; ++i) out[i] *= scale;
}

namespace {

// First weight of these rows, counted from their begin, that is not finite; -1 = none.
int64_t first_non_finite(const WeightView& w, int64_t row, int64_t n_rows) {
  const Format& format = *w.format;
  // Rows lie back to back, so they can be scanned as one (padded ones hold codes alone).
  if (format.rows_together == 1) {
    return format.first_non_finite(w.data + row * w.row_bytes, n_rows * w.row_len);
  }
  std::vector<uint8_t> codes(static_cast<size_t>(w.row_len));
  std::vector<float> d(codes.size()), m(codes.size());
  for (int64_t r = 0; r < n_rows; ++r) {
    w.unpack(row + r, 0, w.row_len, codes.data(), d.data(), m.data());
    for (int64_t i = 0; i < w.row_len; i += format.sub_block_len) {
      const auto sub = static_cast<size_t>(i / format.sub_block_len);
      if (!std::isfinite(d[sub]) || (format.has_min && !std::isfinite(m[sub]))) {
        return r * w.row_len + i / format.block_len * format.block_len;
      }
    }
  }
  return -1;
}

}  // namespace

int64_t find_non_finite(const TensorView& tensor, ThreadPool& pool) {
  const WeightView w = weight_view(tensor);
  if (w.n_rows == 0) return -1;
  if (!std::isfinite(w.tensor_scale)) return 0;
  if (w.format->row_scale.n_bytes > 0) {  // codes alone besides
    for (int64_t row = 0; row < w.n_rows; ++row) {
      if (!std::isfinite(w.row_scale(row))) return row * w.row_len;
    }
    return -1;
  }
  // About a megabyte an item; a row is never cut.
  const int64_t rows_per_item = std::max<int64_t>(1, (int64_t{1} << 20) / w.row_bytes);
  const int64_t n_items = (w.n_rows + rows_per_item - 1) / rows_per_item;
  std::atomic<int64_t> first{INT64_MAX};
  pool.run(n_items, [&](int64_t item, int) {
    const int64_t row = item * rows_per_item;
    if (row * w.row_len > first.load(std::memory_order_relaxed)) return;
    const int64_t n_rows = std::min(rows_per_item, w.n_rows - row);
    const int64_t at = first_non_finite(w, row, n_rows);
    if (at < 0) return;
    const int64_t index = row * w.row_len + at;
    int64_t seen = first.load(std::memory_order_relaxed);
    while (index < seen && !first.compare_exchange_weak(seen, index)) {
    }
  });
  const int64_t found = first.load();
  return found == INT64_MAX ? -1 : found;
}

}  // namespace crossval
