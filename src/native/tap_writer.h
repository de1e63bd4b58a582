// Native's tensors as taps: what a forward pass computes, under llama.cpp's names, to whoever
// asked. Outputs only (Tap::sources stays empty); rows are [width, n_tokens] in ggml's order, or
// [head_dim, n_heads, n_tokens] where llama.cpp's tensor has heads: the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "engine/tap.h"

namespace crossval {

class TapWriter {
 public:
  // Both must outlive the writer.
  TapWriter(const TapFilter& filter, const TapSink& sink, int first_position)
      : filter_(filter), sink_(sink), first_position_(first_position) {}

  bool wants(const std::string& name, int layer) const { return filter_.wants(name, layer); }

  // `stem` without the layer ("Qcur"); layer -1 = none; op as ggml names it. `n_heads` 0 = a tensor
  // without heads. Copies the rows when they are wanted, else only counts the name.
  void write(const char* stem, int layer, const char* op, const float* rows, int64_t width,
             int64_t n_tokens, int64_t n_heads = 0);

 private:
  const TapFilter& filter_;
  const TapSink& sink_;
  int first_position_;
  std::map<std::string, int> n_seen_;  // by name
};

}  // namespace crossval
