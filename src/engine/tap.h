// One tensor as an engine computed it, with everything that went into it: what a backend shows of
// its graph, and what replay (src/replay) recomputes. Arrays are packed, in ggml's order (ne[0]
// fastest), whatever strides the engine uses. Names and parameters are llama.cpp's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "gguf/types.h"

namespace crossval {

// A tensor that an operation reads, or its result.
struct TapTensor {
  // The name of a weight in the model file ("blk.0.attn_q.weight"), else llama.cpp's name of the
  // node or input ("Qcur-0", "KQ_mask", "inp_pos"); views end in " (view)", " (reshaped)", ...
  std::string name;
  GgmlType type = GgmlType::F32;
  std::array<int64_t, 4> ne = {1, 1, 1, 1};
  bool is_weight = false;  // a leaf that holds model weights: no data, read it from the model file
  std::vector<std::byte> data;  // packed; empty for weights and for what was not asked for

  int64_t n_elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
  int64_t n_rows() const { return ne[1] * ne[2] * ne[3]; }
};

struct Tap {
  std::string name;    // of the node without view suffixes: "Qcur-3"; "" or "node_12" where unnamed
  int occurrence = 0;  // how many taps of this name came before it in this eval
  int layer = -1;      // the number behind the name's last '-', -1 = none
  // ggml_op_desc: ggml's name of the operation, for unary and GLU operations theirs: "MUL_MAT",
  // "SILU", "SWIGLU", "FLASH_ATTN_EXT", ...
  std::string op;
  // ggml_tensor::op_params, the words as the operation stores them (floats as their bits).
  std::array<int32_t, 16> params = {};
  int first_position = 0;  // ids evaluated before this eval
  TapTensor out;
  std::vector<TapTensor> sources;  // in ggml's order; a missing one (optional) has ne[0] == 0
};

// An ECMAScript expression, searched in a name; "" matches every name. Compiled once, when it is
// assigned; copies share it. Throws bad_input naming --taps when it is no expression.
class TapRegex {
 public:
  TapRegex() = default;
  TapRegex(const std::string& text);
  TapRegex(const char* text) : TapRegex(std::string(text)) {}

  const std::string& text() const { return text_; }
  bool found_in(const std::string& name) const;

 private:
  std::string text_;
  std::shared_ptr<const std::regex> regex_;  // null = all
};

// Which taps an eval gives. Everything by default.
struct TapFilter {
  TapRegex name_regex;   // assign a string
  int first_layer = -1;  // -1 = from the first; a bound on either side leaves out what has no layer
  int last_layer = -1;   // inclusive; -1 = to the last
  bool wants(const std::string& name, int layer) const;
};

// Called in graph order, on the thread that called eval.
using TapSink = std::function<void(Tap&& tap)>;

}  // namespace crossval
