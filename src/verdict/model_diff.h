// Where the two sides read different files: what differs in them, grouped, and whether it bears on
// what is computed. Such a pair is never called equal, whatever its logits say.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crossval {

struct KeyDifference {
  std::string key;
  std::optional<std::string> engine, backend;  // as text; absent = the file has no such key
  bool bears = false;
};

// Tensors that differ in the same way.
struct TensorDifference {
  enum class Kind { only_engine, only_backend, shape, type, values };
  Kind kind = Kind::values;
  std::string type, backend_type;    // as stored; "" = not in that file
  int64_t n = 0, of = 0;             // so many of all of that type in the file that has them
  std::vector<std::string> tensors;  // the first few names
  // The largest relative distance of one of them, from a sample of its rows; absent where one of
  // the types is not decoded here.
  std::optional<double> rel_l2;
  // Whether a distance of that size is what rounding to these two types makes.
  std::optional<bool> is_rounding;
  bool bears = false;
};
const char* difference_name(TensorDifference::Kind kind);  // "only_engine", ..., "values"

struct ModelDiff {
  std::vector<KeyDifference> keys;
  std::vector<TensorDifference> tensors;
  std::string vocabulary, chat_template;  // what differs, in words; "" = the same
  bool other_checkpoint = false;          // nearly all weights have moved, and irregularly
  // All that moved are some matrices, each by one of about this rank: a fine-tune. 0 = not so.
  int adapter_rank = 0;

  bool bears() const {
    const auto bearing = [](const auto& difference) { return difference.bears; };
    return std::any_of(keys.begin(), keys.end(), bearing) ||
           std::any_of(tensors.begin(), tensors.end(), bearing);
  }
  bool empty() const {
    return keys.empty() && tensors.empty() && vocabulary.empty() && chat_template.empty();
  }
};

// "2 keys: llama.expert_used_count 2, 1; 210 of 210 Q4_1 tensors; the chat template": a sentence
// each for what bears on the computation and for what does not.
std::vector<std::string> model_diff_notes(const ModelDiff& diff);

}  // namespace crossval
