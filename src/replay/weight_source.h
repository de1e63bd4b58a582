// Where replay finds a weight that a tap names: the model file, or another tensor put in its place
// to try a hypothesis ("would the error vanish with these rows permuted?").
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "gguf/model_file.h"

namespace crossval {

class WeightSource {
 public:
  WeightSource() = default;  // knows no weight until one is substituted
  explicit WeightSource(std::shared_ptr<const ModelFile> model) : model_(std::move(model)) {}

  // From now on `name` is this tensor, whose data the caller keeps alive. Not while a replay runs.
  void substitute(const std::string& name, TensorView tensor);
  void restore(const std::string& name);

  const TensorView* find(std::string_view name) const;

  // Length (L2) of the terms that each row sums up when it is multiplied: of weights as stored, and
  // of minimums apart where the format has them, because engines add those up apart. Computed once
  // per weight. Not to be called by several threads at once.
  const std::vector<float>& row_norms(const std::string& name, ThreadPool& pool) const;

  // The engine computes with what the file's weights were rounded from.
  void set_before_rounding(bool is) { is_before_rounding_ = is; }
  bool is_before_rounding() const { return is_before_rounding_; }

 private:
  bool is_before_rounding_ = false;
  std::shared_ptr<const ModelFile> model_;
  std::map<std::string, TensorView, std::less<>> substitutes_;
  mutable std::map<std::string, std::vector<float>, std::less<>> norms_;
};

}  // namespace crossval
