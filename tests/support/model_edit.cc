#include "support/model_edit.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/half.h"
#include "quant/matmul.h"
#include "support/quantize.h"

namespace crossval::testing {
namespace {

using Bytes = std::vector<std::byte>;

// Where the f16 scales (and minima) of a block lie; all of a block's weights are linear in them
// (ggml/src/ggml-common.h). For F16 and BF16 the "scale" is the value itself.
struct ScalePlaces {
  GgmlType type;
  std::array<int, 2> offsets;  // -1 = none
};
constexpr ScalePlaces kScalePlaces[] = {
    {GgmlType::F16, {0, -1}},    {GgmlType::BF16, {0, -1}},  {GgmlType::Q4_0, {0, -1}},
    {GgmlType::Q4_1, {0, 2}},    {GgmlType::Q5_0, {0, -1}},  {GgmlType::Q5_1, {0, 2}},
    {GgmlType::Q8_0, {0, -1}},   {GgmlType::Q2_K, {80, 82}}, {GgmlType::Q3_K, {108, -1}},
    {GgmlType::Q4_K, {0, 2}},    {GgmlType::Q5_K, {0, 2}},   {GgmlType::Q6_K, {208, -1}},
    {GgmlType::TQ2_0, {64, -1}},
};

const ScalePlaces& places_of(GgmlType type) {
  const auto* it = std::ranges::find(kScalePlaces, type, &ScalePlaces::type);
  if (it == std::end(kScalePlaces)) {
    throw std::runtime_error("cannot edit the scales of " + std::string(type_name(type)));
  }
  return *it;
}

std::vector<float> dequantize(GgmlType type, std::span<const int64_t> shape, const Bytes& bytes) {
  if (find_format(type) == nullptr) {
    throw std::runtime_error("cannot dequantise " + std::string(type_name(type)));
  }
  const TensorView tensor = {
      .name = "", .type = type, .shape = {shape.begin(), shape.end()}, .data = bytes};
  const WeightView view = weight_view(tensor);
  std::vector<float> values(static_cast<size_t>(view.n_rows * view.row_len));
  for (int64_t row = 0; row < view.n_rows; ++row) {
    get_row(view, row, values.data() + row * view.row_len);
  }
  return values;
}

void flip_sign(Bytes& bytes, size_t last_byte) { bytes[last_byte] ^= std::byte{0x80}; }

}  // namespace

std::vector<size_t> scale_offsets(GgmlType type) {
  std::vector<size_t> offsets;
  for (const int offset : places_of(type).offsets) {
    if (offset >= 0) offsets.push_back(static_cast<size_t>(offset));
  }
  return offsets;
}

ModelEdit::ModelEdit(const std::string& path) : model_(ModelFile::open(path)) {
  for (const auto& [key, value] : model_->metadata()) {
    if (!key.starts_with("split.")) writer_.copy(key, value);
  }
  for (const TensorView& tensor : model_->tensors()) {
    tensors_.push_back({tensor.name, tensor.type, tensor.shape,
                        [view = tensor.data] { return Bytes(view.begin(), view.end()); }});
  }
}

const ModelEdit::Tensor& ModelEdit::find(const std::string& name) const {
  const auto it = std::ranges::find(tensors_, name, &Tensor::name);
  if (it == tensors_.end()) throw std::runtime_error("no tensor named '" + name + "'");
  return *it;
}

ModelEdit::Tensor& ModelEdit::find(const std::string& name) {
  return const_cast<Tensor&>(std::as_const(*this).find(name));
}

bool ModelEdit::has(const std::string& name) const {
  return std::ranges::find(tensors_, name, &Tensor::name) != tensors_.end();
}

void ModelEdit::edit_bytes(const std::string& name, std::function<void(Bytes&)> edit) {
  Tensor& tensor = find(name);
  tensor.bytes = [before = tensor.bytes, edit = std::move(edit)] {
    Bytes bytes = before();
    edit(bytes);
    return bytes;
  };
}

void ModelEdit::copy_content(const std::string& from, const std::string& name) {
  const Tensor& source = find(from);
  Tensor& target = find(name);
  if (source.type != target.type || source.shape != target.shape) {
    throw std::runtime_error("'" + from + "' and '" + name + "' differ in type or shape");
  }
  target.bytes = source.bytes;
}

std::vector<float> ModelEdit::values(const std::string& name) const {
  const Tensor& tensor = find(name);
  return dequantize(tensor.type, tensor.shape, tensor.bytes());
}

void ModelEdit::add(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                    Bytes bytes) {
  tensors_.push_back({name, type, std::move(shape), [bytes = std::move(bytes)] { return bytes; }});
}

void ModelEdit::replace(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                        Bytes bytes) {
  find(name) = {name, type, std::move(shape), [bytes = std::move(bytes)] { return bytes; }};
}

void ModelEdit::replace_f32(const std::string& name, std::vector<int64_t> shape,
                            const std::vector<float>& values) {
  replace(name, GgmlType::F32, std::move(shape), quantize(GgmlType::F32, values));
}

void ModelEdit::remove(const std::string& name) {
  tensors_.erase(tensors_.begin() + (&find(name) - tensors_.data()));
}

void ModelEdit::rename(const std::string& name, const std::string& to) { find(name).name = to; }

void ModelEdit::swap(const std::string& a, const std::string& b) {
  Tensor &first = find(a), &second = find(b);
  std::swap(first.type, second.type);
  std::swap(first.shape, second.shape);
  std::swap(first.bytes, second.bytes);
}

void ModelEdit::move_to_front(const std::string& name) {
  const auto it = tensors_.begin() + (&find(name) - tensors_.data());
  std::rotate(tensors_.begin(), it, it + 1);
}

void ModelEdit::negate(const std::string& name) {
  Tensor& tensor = find(name);
  const auto block_bytes = static_cast<size_t>(find_type(tensor.type)->block_bytes);
  const bool is_f32 = tensor.type == GgmlType::F32;
  const ScalePlaces places = is_f32 ? ScalePlaces{GgmlType::F32, {2, -1}} : places_of(tensor.type);
  tensor.bytes = [before = tensor.bytes, block_bytes, places] {
    Bytes bytes = before();
    for (size_t block = 0; block < bytes.size(); block += block_bytes) {
      for (const int offset : places.offsets) {
        if (offset >= 0) flip_sign(bytes, block + static_cast<size_t>(offset) + 1);
      }
    }
    return bytes;
  };
}

void ModelEdit::scale(const std::string& name, float factor) {
  Tensor& tensor = find(name);
  const GgmlType from = tensor.type;
  const bool is_float = from == GgmlType::F16 || from == GgmlType::BF16;
  const GgmlType to = is_float ? from : GgmlType::F32;
  tensor.bytes = [before = tensor.bytes, shape = tensor.shape, from, to, factor] {
    std::vector<float> values = dequantize(from, shape, before());
    for (float& value : values) value *= factor;
    return quantize(to, values);
  };
  tensor.type = to;
}

void ModelEdit::set_nan(const std::string& name, int64_t index) {
  Tensor& tensor = find(name);
  const TypeInfo* info = find_type(tensor.type);
  int64_t n = 1;
  for (const int64_t dim : tensor.shape) n *= dim;
  if (index < 0 || index >= n) throw std::runtime_error("no weight " + std::to_string(index));
  const bool is_f32 = tensor.type == GgmlType::F32;
  const int offset = is_f32 ? 2 : places_of(tensor.type).offsets[0];
  const auto at = static_cast<size_t>(index / info->block_len * info->block_bytes + offset);
  // The upper half of an f32 or bf16 NaN, or an f16 NaN: 0x7fc0 is one in all three.
  tensor.bytes = [before = tensor.bytes, at] {
    Bytes bytes = before();
    const uint16_t nan = 0x7fc0;
    std::memcpy(&bytes[at], &nan, sizeof(nan));
    return bytes;
  };
}

void ModelEdit::convert(const std::string& name, GgmlType type) {
  Tensor& tensor = find(name);
  if (tensor.type == type) return;
  if (!can_quantize(type) || find_format(tensor.type) == nullptr) {
    throw std::runtime_error("cannot convert " + std::string(type_name(tensor.type)) + " to " +
                             std::string(type_name(type)));
  }
  if (tensor.shape[0] % find_type(type)->block_len != 0) {
    throw std::runtime_error("rows of '" + name + "' are not whole blocks");
  }
  tensor.bytes = [before = tensor.bytes, shape = tensor.shape, from = tensor.type, type] {
    return quantize(type, dequantize(from, shape, before()), shape[0]);
  };
  tensor.type = type;
}

void ModelEdit::convert_matrices(GgmlType type) {
  for (const Tensor& tensor : tensors_) {
    if (tensor.shape.size() >= 2) convert(tensor.name, type);
  }
  // `enum llama_ftype` of llama.h, for the types it has a "mostly" value for.
  constexpr std::pair<GgmlType, uint32_t> file_types[] = {
      {GgmlType::F32, 0},  {GgmlType::F16, 1},   {GgmlType::Q4_0, 2},
      {GgmlType::Q4_1, 3}, {GgmlType::Q8_0, 7},  {GgmlType::Q5_0, 8},
      {GgmlType::Q5_1, 9}, {GgmlType::Q6_K, 18}, {GgmlType::BF16, 32}};
  for (const auto& [of, file_type] : file_types) {
    if (of == type) writer_.set_u32("general.file_type", file_type);
  }
}

void ModelEdit::write(const std::string& path, int version) {
  GgufWriter writer = writer_;
  writer.set_version(version);
  for (const Tensor& tensor : tensors_) {
    writer.add_tensor(tensor.name, tensor.type, tensor.shape, tensor.bytes);
  }
  writer.write(path);
}

}  // namespace crossval::testing
