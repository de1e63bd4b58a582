// Weights under an engine's own names over the wire: which it has, and which of the model file's
// they are. What the worker says is checked; whether it makes sense, arch/ finds out.
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "worker/reply_numbers.h"
#include "worker/worker_engine.h"

namespace crossval {
namespace {

using nlohmann::json;

constexpr size_t kMaxWeights = 1'000'000, kMaxDimensions = 8;
constexpr int64_t kMaxElements = int64_t{1} << 40;

[[noreturn]] void nonsense(const std::string& what) {
  backend_failed("worker_protocol", "the worker's answer to \"parameters\" makes no sense: " + what,
                 "parameters", "build the worker again with crossval setup");
}

std::vector<int64_t> take_shape(const std::string& name, const json& told) {
  if (!told.is_array() || told.size() > kMaxDimensions) nonsense("the shape of " + name);
  std::vector<int64_t> shape;
  int64_t n_elements = 1;
  for (const json& one : told) {
    const auto n = integer_of(one, 0, kMaxElements);
    if (!n || (*n != 0 && n_elements > kMaxElements / *n)) nonsense("the shape of " + name);
    n_elements *= *n;
    shape.push_back(*n);
  }
  return shape;
}

json told(const NamedWeight& weight) {
  json parts = json::array();
  for (const NamedWeight::Part& part : weight.parts) {
    parts.push_back({{"of", part.of},
                     {"offset", part.offset},
                     {"rows", part.rows},
                     {"cols", part.n_cols},
                     {"col_stride", part.col_stride},
                     {"factor", part.factor}});
  }
  return {{"name", weight.name},
          {"tap", weight.tap},
          {"layer", weight.layer},
          {"experts", weight.n_experts},
          {"parts", std::move(parts)}};
}

}  // namespace

std::optional<OwnWeights> WorkerEngine::own_weights() {
  if (!hello_.names) return std::nullopt;
  const auto reply =
      call({.header = {{"op", "parameters"}}, .stage = "names of its weights"}, &timing_.load_ms);
  OwnWeights found;
  const auto parameters = reply.header.find("parameters"), config = reply.header.find("config");
  if (parameters == reply.header.end() || !parameters->is_object() ||
      parameters->size() > kMaxWeights) {
    nonsense("\"parameters\" is no object of shapes");
  }
  for (const auto& [name, shape] : parameters->items()) {
    found.shapes.emplace(name, take_shape(name, shape));
  }
  found.config = config != reply.header.end() && config->is_object() ? config->dump() : "{}";
  return found;
}

void WorkerEngine::name_weights(std::span<const NamedWeight> weights) {
  json all = json::array();
  for (const NamedWeight& weight : weights) all.push_back(told(weight));
  call({.header = {{"op", "names"}, {"weights", std::move(all)}}, .stage = "names of weights"},
       &timing_.load_ms);
}

}  // namespace crossval
