// Weights by name, with the lengths of their rows remembered.
#include "replay/weight_source.h"

#include <utility>

#include "quant/matmul.h"
#include "replay/row_norms.h"

namespace crossval {

void WeightSource::substitute(const std::string& name, TensorView tensor) {
  substitutes_.insert_or_assign(name, std::move(tensor));
  norms_.erase(name);
}

void WeightSource::restore(const std::string& name) {
  substitutes_.erase(name);
  norms_.erase(name);
}

const TensorView* WeightSource::find(std::string_view name) const {
  if (const auto found = substitutes_.find(name); found != substitutes_.end()) {
    return &found->second;
  }
  return model_ == nullptr ? nullptr : model_->find_tensor(name);
}

const std::vector<float>& WeightSource::row_norms(const std::string& name, ThreadPool& pool) const {
  auto [entry, is_new] = norms_.try_emplace(name);
  if (const TensorView* tensor = find(name); is_new && tensor != nullptr) {
    entry->second = crossval::row_norms(weight_view(*tensor), pool);
  }
  return entry->second;
}

}  // namespace crossval
