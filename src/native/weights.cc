#include "native/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <string>

#include "base/error.h"

namespace crossval {
namespace {

class Binder {
 public:
  explicit Binder(const ModelFile& model) : model_(model) {}

  void bind(const TensorSpec& spec, Weight& out) const {
    if (!spec.is_used) return;
    std::vector<int64_t> shape;
    for (const int64_t n : spec.shape) {
      if (n != 0) shape.push_back(n);
    }
    if (spec.any_shape) shape = as_in_file(spec.name(), shape);
    const TensorView* tensor = find(spec.name(), shape, spec.required);
    if (tensor == nullptr) return;
    if (spec.is_table) {
      out.table = table(*tensor);
      return;
    }
    if (spec.is_linear) {
      out.matrix = weight_view(*tensor);
      const bool scales = spec.uses_scale || tensor->type == GgmlType::NVFP4;
      const int64_t n_experts = spec.shape[2] != 0 ? spec.shape[2] : 1;
      if (scales) out.scale = vector(find(spec.scale_name(), {n_experts}, false));
    } else {
      out.vector = vector(tensor);
    }
    if (spec.is_bias || !spec.uses_bias) return;
    std::vector<int64_t> bias(shape.begin() + (spec.is_linear || spec.has_rows ? 1 : 0),
                              shape.end());
    out.bias = vector(find(spec.stem() + ".bias", bias, spec.needs_bias));
  }

 private:
  // The file's own shape, where it has as many elements.
  std::vector<int64_t> as_in_file(const std::string& name,
                                  const std::vector<int64_t>& shape) const {
    const TensorView* tensor = model_.find_tensor(name);
    int64_t n = 1;
    for (const int64_t size : shape) n *= size;
    return tensor != nullptr && tensor->n_elements() == n ? tensor->shape : shape;
  }
  const TensorView* find(const std::string& name, const std::vector<int64_t>& shape,
                         bool required) const {
    const TensorView* tensor = model_.find_tensor(name);
    if (tensor == nullptr) {
      if (!required) return nullptr;
      bad_input("missing_tensor", fmt::format("the model has no tensor '{}'", name), model_.path(),
                "download or convert the model again; `crossval inspect` lists what it has");
    }
    std::vector<int64_t> actual = tensor->shape;
    while (actual.size() > shape.size() && actual.back() == 1) actual.pop_back();
    // Files do not write a last dimension of one.
    std::vector<int64_t> expected = shape;
    while (expected.size() > actual.size() && expected.back() == 1) expected.pop_back();
    if (actual != expected) {
      bad_input("wrong_shape",
                fmt::format("tensor '{}' has shape [{}], expected [{}]", name,
                            fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")),
                model_.path(), "the metadata and the tensors do not fit: convert the model again");
    }
    return tensor;
  }

  static VectorWeight vector(const TensorView* tensor) {
    if (tensor == nullptr) return {};
    const WeightView view = weight_view(*tensor);
    VectorWeight out(static_cast<size_t>(view.n_rows * view.row_len));
    for (int64_t row = 0; row < view.n_rows; ++row) get_row(view, row, &out[row * view.row_len]);
    return out;
  }

  std::vector<int32_t> table(const TensorView& tensor) const {
    if (tensor.type != GgmlType::I32) {
      bad_input("wrong_type", fmt::format("tensor '{}' holds no whole numbers (I32)", tensor.name),
                model_.path(), "convert the model again with a current converter");
    }
    std::vector<int32_t> out(tensor.data.size() / sizeof(int32_t));
    std::memcpy(out.data(), tensor.data.data(), out.size() * sizeof(int32_t));
    return out;
  }

  const ModelFile& model_;
};

void read_vocabulary_size(const ModelFile& model, Config& config) {
  const TensorView* embd = model.find_tensor("token_embd.weight");
  if (embd == nullptr || embd->shape.size() < 2) {
    bad_input("missing_tensor", "the model has no matrix 'token_embd.weight'", model.path(),
              "download or convert the model again; `crossval inspect` lists what it has");
  }
  if (embd->shape[1] < 1 || embd->shape[1] > INT32_MAX) {
    bad_input("wrong_shape", "'token_embd.weight' has no rows", model.path(),
              "convert the model again");
  }
  config.n_vocab = static_cast<int>(embd->shape[1]);
}

}  // namespace

Weights bind_weights(const ModelFile& model, const Arch& arch, Config& config) {
  read_vocabulary_size(model, config);
  Weights weights;
  weights.layers.resize(static_cast<size_t>(config.n_layers));
  const Binder binder(model);
  for (const TensorSpec& spec : tensors_of(model, arch, config)) {
    WeightsByRole& owner =
        spec.layer < 0 ? weights.outside : weights.layers[static_cast<size_t>(spec.layer)];
    binder.bind(spec, owner[spec.role]);
  }
  if (!weights.outside[Role::output]) {
    weights.outside[Role::output].matrix = weights.outside[Role::token_embd].matrix;
  }
  return weights;
}

WeightView expert_matrix(const Weight& experts, int expert, int64_t n_rows) {
  WeightView one = experts.matrix;
  one.data += one.row_bytes * n_rows * expert;
  one.n_rows = n_rows;
  return one;
}

}  // namespace crossval
