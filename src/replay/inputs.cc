// Checks sizes, finds weights, turns stored values into floats.
#include "replay/inputs.h"

#include <cstring>

#include "quant/formats.h"
#include "replay/row_norms.h"

namespace crossval {
namespace {

// Bytes of a packed tensor of this type and shape; -1 when it makes no sense.
int64_t packed_bytes(const TapTensor& tensor) {
  if (find_type(tensor.type) == nullptr) return -1;
  return tensor_bytes(tensor.type, tensor.ne).value_or(-1);
}

template <typename T, typename To>
void widen(std::span<const std::byte> data, std::vector<To>& out) {
  out.resize(data.size() / sizeof(T));
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<To>(value);
  }
}

// Rows packed without a gap, whose whole number of blocks packed_bytes has checked.
WeightView view_of(const Format& format, std::span<const std::byte> data, int64_t row_len,
                   int64_t n_rows) {
  return {.format = &format,
          .data = data.data() + int64_t{format.rows_together} * format.row_scale.n_bytes,
          .n_rows = n_rows,
          .row_len = row_len,
          .row_bytes = n_rows == 0 ? 0 : static_cast<int64_t>(data.size()) / n_rows};
}

bool to_floats(GgmlType type, std::span<const std::byte> data, int64_t row_len, int64_t n_rows,
               std::vector<float>& out) {
  if (type == GgmlType::I32) {
    widen<int32_t>(data, out);
    return true;
  }
  if (type == GgmlType::I64) {
    widen<int64_t>(data, out);
    return true;
  }
  const Format* format = find_format(type);
  if (format == nullptr || format->has_tensor_scale) return false;
  if (type == GgmlType::F32) {
    out.resize(static_cast<size_t>(row_len * n_rows));
    if (!out.empty()) std::memcpy(out.data(), data.data(), out.size() * sizeof(float));
    return true;
  }
  if (n_rows % format->rows_together != 0) return false;
  const WeightView view = view_of(*format, data, row_len, n_rows);
  out.resize(static_cast<size_t>(row_len * n_rows));
  for (int64_t r = 0; r < n_rows; ++r) get_row(view, r, out.data() + r * row_len);
  return true;
}

}  // namespace

void require_shape(bool ok, const char* reason) {
  if (!ok) throw Unreplayable{ReplayStatus::bad_shape, reason};
}

TapValues::TapValues(const TapTensor& tensor) {
  if (packed_bytes(tensor) != static_cast<int64_t>(tensor.data.size())) return;
  keeps_ = tensor.data;
  values_ = tensor.floats();
  if (!values_.empty()) return;
  const std::span<const std::byte> bytes(tensor.data.data(), tensor.data.size());
  if (to_floats(tensor.type, bytes, tensor.ne[0], tensor.n_rows(), converted_)) {
    values_ = converted_;
  }
}

Inputs::Inputs(const Operation& operation, const TapTensor& out, const WeightSource& weights,
               ThreadPool& pool)
    : operation_(operation),
      out_(out),
      weights_(weights),
      pool_(pool),
      floats_(operation.sources.size()) {
  for (const TapTensor& tensor : operation.sources) {
    if (tensor.ne[0] > 0 && packed_bytes(tensor) < 0) {
      throw Unreplayable{ReplayStatus::bad_shape,
                         "the shape of " + tensor.name + " makes no sense"};
    }
  }
}

bool Inputs::has(size_t i) const {
  return i < operation_.sources.size() && operation_.sources[i].ne[0] > 0;
}

const TapTensor& Inputs::source(size_t i) const {
  if (!has(i)) {
    throw Unreplayable{ReplayStatus::missing_data, "source " + std::to_string(i) + " is missing"};
  }
  return operation_.sources[i];
}

std::span<const std::byte> Inputs::stored(size_t i) const {
  const TapTensor& tensor = source(i);
  const int64_t n_bytes = packed_bytes(tensor);
  if (!tensor.data.empty() || (n_bytes == 0 && !tensor.is_weight)) {
    if (static_cast<int64_t>(tensor.data.size()) == n_bytes) {
      return {tensor.data.data(), tensor.data.size()};
    }
    throw Unreplayable{ReplayStatus::bad_shape,
                       "the data of " + tensor.name + " is not as long as its shape says"};
  }
  if (!tensor.is_weight) {
    throw Unreplayable{ReplayStatus::missing_data, tensor.name + " was not captured"};
  }
  const TensorView* weight = weights_.find(tensor.name);
  if (weight == nullptr) {
    throw Unreplayable{ReplayStatus::missing_weight, "the model has no " + tensor.name};
  }
  bool same_shape = weight->shape.size() <= 4;
  for (size_t d = 0; same_shape && d < 4; ++d) {
    same_shape = (d < weight->shape.size() ? weight->shape[d] : 1) == tensor.ne[d];
  }
  if (!same_shape) {
    throw Unreplayable{ReplayStatus::bad_shape,
                       "the engine holds " + tensor.name + " in another shape than the model file"};
  }
  return weight->data;
}

WeightView Inputs::matrix(size_t i) const {
  const TapTensor& tensor = source(i);
  const std::span<const std::byte> data = stored(i);
  GgmlType type = tensor.type;
  // An engine may hold a weight in another type than the file does; the file's is what counts.
  if (tensor.is_weight && tensor.data.empty()) {
    const TensorView& weight = *weights_.find(tensor.name);
    if (find_format(weight.type) == nullptr) {
      throw Unreplayable{
          ReplayStatus::unknown_op,
          "weights of type " + std::string(type_name(weight.type)) + " are not replayed"};
    }
    return weight_view(weight);
  }
  const Format* format = find_format(type);
  if (format == nullptr) {
    throw Unreplayable{ReplayStatus::unknown_op,
                       "type " + std::string(type_name(type)) + " is not replayed"};
  }
  require_shape(tensor.ne[1] % format->rows_together == 0, "interleaved rows are not whole");
  return view_of(*format, data, tensor.ne[0], tensor.n_rows());
}

std::span<const float> Inputs::floats(size_t i) {
  const TapTensor& tensor = source(i);
  if (!floats_[i].empty()) return floats_[i];
  const std::span<const std::byte> data = stored(i);
  if (!tensor.is_weight || !tensor.data.empty()) {
    const std::span<const float> own = tensor.floats();
    if (!own.empty()) return own;
  }
  GgmlType type = tensor.type;
  if (tensor.is_weight && tensor.data.empty()) type = weights_.find(tensor.name)->type;
  if (!to_floats(type, data, tensor.ne[0], tensor.n_rows(), floats_[i])) {
    throw Unreplayable{ReplayStatus::unknown_op,
                       "type " + std::string(type_name(type)) + " is not replayed"};
  }
  return floats_[i];
}

std::vector<int64_t> Inputs::indices(size_t i) const {
  const TapTensor& tensor = source(i);
  std::vector<int64_t> values;
  if (tensor.type == GgmlType::I32) {
    widen<int32_t>(stored(i), values);
  } else if (tensor.type == GgmlType::I64) {
    widen<int64_t>(stored(i), values);
  } else {
    throw Unreplayable{ReplayStatus::bad_shape, tensor.name + " should hold integers"};
  }
  return values;
}

bool Inputs::is_before_rounding(size_t i) const {
  if (!weights_.is_before_rounding() || !has(i)) return false;
  const TapTensor& tensor = source(i);
  const TensorView* weight = tensor.is_weight ? weights_.find(tensor.name) : nullptr;
  return weight != nullptr && tensor.data.empty() && weight->type != GgmlType::F32;
}

std::vector<float> Inputs::row_norms(size_t i) {
  const TapTensor& tensor = source(i);
  if (tensor.is_weight && tensor.data.empty()) return weights_.row_norms(tensor.name, pool_);
  return crossval::row_norms(matrix(i), pool_);
}

}  // namespace crossval
