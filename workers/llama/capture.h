// Shows every node of the graph as it is computed, with the inputs exactly as the operation read
// them: the engine's cb_eval, made into plain descriptions. Changes nothing of what is computed.
#pragma once

#include <ggml-backend.h>
#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace crossval::llama {

// A tensor of the node at hand; `bytes` live until the next node.
struct CapturedTensor {
  std::string name;
  const char* type = "";
  int64_t ne[4] = {1, 1, 1, 1};
  bool is_weight = false;  // then no bytes: whoever asks has the model file
  // The node of this eval that computed the values, where one did (its name may be empty); whole =
  // all of them and in the same order, not a part or a permutation.
  std::string maker;
  int maker_occurrence = -1;
  bool is_whole = false;
  const std::byte* bytes = nullptr;
  size_t n_bytes = 0;
};

struct CapturedNode {
  std::string name;
  std::string op;
  int occurrence = 0;
  int layer = -1;
  const int32_t* params = nullptr;
  size_t n_params = 0;
  std::vector<CapturedTensor> tensors;  // the result, then the sources; absent ones have ne[0] = 0
};

class Capture {
 public:
  using Deliver = std::function<void(const CapturedNode&)>;

  // ggml_backend_sched_eval_callback; `self` is a Capture.
  static bool on_node(ggml_tensor* node, bool ask, void* self);

  // Nodes are shown to `deliver` until it is empty again; occurrences count from here.
  void begin(Deliver deliver);
  void end() { deliver_ = nullptr; }

 private:
  void before(const ggml_tensor* node);
  void after(const ggml_tensor* node);
  void find_maker(const ggml_tensor* source, CapturedTensor& out) const;

  struct Seen {
    std::string name;
    int occurrence;
  };
  Deliver deliver_;
  std::map<const ggml_tensor*, Seen> seen_;  // nodes of this eval
  std::map<std::string, int> occurrences_;
  std::vector<std::vector<std::byte>> packed_;  // of the node at hand: the result, then sources
};

}  // namespace crossval::llama
