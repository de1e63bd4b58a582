// Views of stored weights: what a tensor must look like to be multiplied with, single rows, and
// the search for weights that are not finite.
#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>

#include "base/error.h"
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
  const int64_t header_bytes = format->has_row_scale ? sizeof(float) : 0;
  const int64_t multiple = format->row_bytes_multiple;
  const int64_t block_bytes = view.row_len / format->block_len * format->block_bytes;
  view.row_bytes = header_bytes + (block_bytes + multiple - 1) / multiple * multiple;
  const auto stored = static_cast<int64_t>(tensor.data.size());
  if (view.row_len <= 0 || view.row_len % format->block_len != 0 ||
      (view.row_bytes > 0 && stored / view.row_bytes < view.n_rows)) {
    bad_input("bad_tensor_shape",
              "A row of " + std::to_string(view.row_len) + " weights in " + std::to_string(stored) +
                  " bytes does not fit the type's blocks",
              "tensor " + tensor.name, "Convert or download the model again");
  }
  view.data = tensor.data.data() + header_bytes;
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
  if (!format->has_row_scale) return tensor_scale;
  return load_as<float>(data + row * row_bytes - sizeof(float));
}

void get_row(const WeightView& w, int64_t row, float* out) {
  assert(row >= 0 && row < w.n_rows);
  w.format->dequantize(w.data + row * w.row_bytes, w.row_len, out);
  if (!w.format->has_tensor_scale && !w.format->has_row_scale) return;
  const float scale = w.row_scale(row);
  for (int64_t i = 0; i < w.row_len; ++i) out[i] *= scale;
}

int64_t find_non_finite(const TensorView& tensor, ThreadPool& pool) {
  const WeightView w = weight_view(tensor);
  if (w.n_rows == 0) return -1;
  if (!std::isfinite(w.tensor_scale)) return 0;
  if (w.format->has_row_scale) {  // codes alone besides
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
    // Rows lie back to back, so they can be scanned as one (padded ones hold codes alone).
    const int64_t at = w.format->first_non_finite(w.data + row * w.row_bytes, n_rows * w.row_len);
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
