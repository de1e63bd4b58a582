#include "native/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace crossval {
namespace {

const TensorView* find_checked(const ModelFile& model, const std::string& name,
                               const std::vector<int64_t>& shape, bool required) {
  const TensorView* tensor = model.find_tensor(name);
  if (tensor == nullptr) {
    if (!required) return nullptr;
    bad_input("missing_tensor", fmt::format("the model has no tensor '{}'", name), model.path(),
              "download or convert the model again; `crossval inspect` lists what it has");
  }
  std::vector<int64_t> actual = tensor->shape;
  while (actual.size() > shape.size() && actual.back() == 1) actual.pop_back();
  if (actual != shape) {
    bad_input("wrong_shape",
              fmt::format("tensor '{}' has shape [{}], expected [{}]", name,
                          fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")),
              model.path(), "the metadata and the tensors do not fit: convert the model again");
  }
  return tensor;
}

WeightView bind_matrix(const ModelFile& model, const std::string& name, int64_t row_len,
                       int64_t n_rows, bool required) {
  const TensorView* tensor = find_checked(model, name, {row_len, n_rows}, required);
  return tensor ? weight_view(*tensor) : WeightView{};
}

VectorWeight bind_vector(const ModelFile& model, const std::string& name, int64_t n,
                         bool required) {
  const TensorView* tensor = find_checked(model, name, {n}, required);
  if (tensor == nullptr) return {};
  const WeightView view = weight_view(*tensor);
  VectorWeight out(static_cast<size_t>(n));
  get_row(view, 0, out.data());
  return out;
}

}  // namespace

Weights bind_weights(const ModelFile& model, std::span<const WeightSpec> layer_specs,
                     Config& config) {
  Weights weights;
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
  weights.token_embd = bind_matrix(model, "token_embd.weight", config.n_embd, config.n_vocab, true);
  weights.output = bind_matrix(model, "output.weight", config.n_embd, config.n_vocab, false);
  if (!weights.output) weights.output = weights.token_embd;
  weights.output_norm = bind_vector(model, "output_norm.weight", config.n_embd, true);
  weights.rope_freqs = bind_vector(model, "rope_freqs.weight", config.rope.n_dims / 2, false);
  weights.layers.resize(static_cast<size_t>(config.n_layers));
  for (int layer = 0; layer < config.n_layers; ++layer) {
    LayerWeights& bound = weights.layers[static_cast<size_t>(layer)];
    for (const WeightSpec& spec : layer_specs) {
      const std::string name = fmt::format("blk.{}.{}", layer, spec.name);
      if (spec.matrix != nullptr) {
        bound.*spec.matrix =
            bind_matrix(model, name, spec.row_len(config), spec.n_rows(config), spec.required);
      } else {
        bound.*spec.vector = bind_vector(model, name, spec.row_len(config), spec.required);
      }
    }
  }
  return weights;
}

}  // namespace crossval
