// One tensor as an engine computed it, with everything that went into it: what a backend shows of
// its graph, and what replay (src/replay) recomputes. Arrays are packed, in ggml's order (ne[0]
// fastest), whatever strides the engine uses. Names and parameters are llama.cpp's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gguf/types.h"

namespace re2 {
class RE2;
}

namespace crossval {

// The bytes of a tensor, shared by all that look at it: copies cost nothing. Values as floats are
// made once, however many ask for them. One thread at a time looks at one tensor.
class TapData {
 public:
  TapData() = default;
  TapData(std::vector<std::byte> bytes);

  bool empty() const { return !shared_ || shared_->bytes.empty(); }
  size_t size() const { return shared_ ? shared_->bytes.size() : 0; }
  const std::byte* data() const { return shared_ ? shared_->bytes.data() : nullptr; }
  const std::byte* begin() const { return data(); }
  const std::byte* end() const { return data() + size(); }
  bool operator==(const TapData& other) const { return std::ranges::equal(*this, other); }
  // To write to: from here on nobody else's.
  std::vector<std::byte>& own();

  // All of it as floats of F32, F16 or BF16, which live as long as any copy. Empty for other types.
  std::span<const float> floats(GgmlType type) const;

 private:
  struct Shared {
    std::vector<std::byte> bytes;
    std::vector<float> floats;  // of a type that is not F32
  };
  std::shared_ptr<Shared> shared_;
};

// The tap of the same eval whose values a source holds.
struct TapOrigin {
  std::string name;
  int occurrence = 0;
  bool is_whole = false;  // all values in the same order, not a part or a permutation of them
};

// A tensor that an operation reads, or its result.
struct TapTensor {
  // The name of a weight in the model file ("blk.0.attn_q.weight"), else llama.cpp's name of the
  // node or input ("Qcur-0", "KQ_mask", "inp_pos"); views end in " (view)", " (reshaped)", ...
  std::string name;
  GgmlType type = GgmlType::F32;
  std::array<int64_t, 4> ne = {1, 1, 1, 1};
  bool is_weight = false;  // a leaf that holds model weights: no data, read it from the model file
  TapData data;            // packed; empty for weights and for what was not asked for
  // Of a source; none for weights, inputs and caches, and from workers that do not tell.
  std::optional<TapOrigin> origin;

  int64_t n_elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
  int64_t n_rows() const { return ne[1] * ne[2] * ne[3]; }
  // As floats, ne[0] fastest; empty where the type is none of F32, F16, BF16 or the data does not
  // fit the shape.
  std::span<const float> floats() const;
};

// What is computed, and from what.
struct Operation {
  // ggml_op_desc: ggml's name of the operation, for unary and GLU operations theirs: "MUL_MAT",
  // "SILU", "SWIGLU", "FLASH_ATTN_EXT", ...
  std::string op;
  // ggml_tensor::op_params, the words as the operation stores them (floats as their bits).
  std::array<int32_t, 16> params = {};
  std::vector<TapTensor> sources;  // in ggml's order; a missing one (optional) has ne[0] == 0
};

struct Tap : Operation {
  std::string name;    // of the node without view suffixes: "Qcur-3"; "" or "node_12" where unnamed
  int occurrence = 0;  // how many taps of this name came before it in this eval
  int layer = -1;      // the number behind the name's last '-', -1 = none
  int first_position = 0;  // ids evaluated before this eval
  TapTensor out;
};

// An expression of RE2, whose time is linear in the name, searched in it; "" matches every name.
// Compiled once, when it is assigned; copies share it. Throws bad_input naming --taps when it is no
// expression.
class TapRegex {
 public:
  TapRegex() = default;
  TapRegex(const std::string& text);
  TapRegex(const char* text) : TapRegex(std::string(text)) {}

  const std::string& text() const { return text_; }
  bool found_in(const std::string& name) const;

 private:
  std::string text_;
  std::shared_ptr<const re2::RE2> regex_;  // null = all
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
