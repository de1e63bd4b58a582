#include "run/name_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "arch/archs.h"
#include "arch/checkpoint_names.h"
#include "arch/role_taps.h"
#include "arch/tensors.h"
#include "base/error.h"

namespace crossval {
namespace {

NamedWeight named(const TensorView& tensor, const TensorSpec& spec,
                  const std::optional<CheckpointSource>& source) {
  NamedWeight weight{.name = tensor.name,
                     .tap = std::string(tap_of_role(spec.role)),
                     .layer = spec.layer,
                     .n_experts = tensor.shape.size() > 2 ? tensor.shape[2] : 1};
  if (!source) return weight;
  for (const CheckpointPart& part : source->parts) {
    NamedWeight::Part told{.of = part.name,
                           .offset = part.offset,
                           .n_cols = part.n_cols,
                           .col_stride = part.col_stride,
                           .factor = part.factor};
    for (const Axis& axis : part.rows) told.rows.emplace_back(axis.count, axis.stride);
    weight.parts.push_back(std::move(told));
  }
  return weight;
}

}  // namespace

void name_weights(Engine& engine, const ModelFile& model) {
  const std::optional<OwnWeights> own = engine.own_weights();
  if (!own) return;
  const Arch* arch = find_arch(model.architecture());
  const CheckpointRow* row = find_checkpoint_row(model.architecture());
  if (arch == nullptr || row == nullptr) {
    bad_input("no_names",
              fmt::format("which weights of {} those of a \"{}\" file are is not known",
                          engine.info().name, model.architecture()),
              "--backend", "compare logits alone: `per-token`");
  }
  const Config config = read_config(model, *arch);
  const CheckpointFacts facts{.shapes = own->shapes,
                              .config = nlohmann::json::parse(own->config, nullptr, false)};
  std::vector<NamedWeight> weights;
  for (const TensorSpec& spec : tensors_of(model, *arch, config)) {
    if (const TensorView* tensor = model.find_tensor(spec.name())) {
      const auto source = checkpoint_source(spec, spec.is_bias, tensor->shape, *row, config, facts);
      weights.push_back(named(*tensor, spec, source));
    }
    const TensorView* bias = spec.is_bias ? nullptr : model.find_tensor(spec.stem() + ".bias");
    if (bias == nullptr) continue;
    weights.push_back(
        named(*bias, spec, checkpoint_source(spec, true, bias->shape, *row, config, facts)));
  }
  engine.name_weights(weights);
}

}  // namespace crossval
