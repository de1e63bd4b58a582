// Holds the graphs of a run against what the architecture's row calls for: which operations are
// missing or too many in each layer, by which factors values are multiplied, and whether each
// weight is that of its layer. Looks at what operations are and read, not at values: a scale that
// is left out is found however little it does to the logits.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tap.h"
#include "replay/cause_words.h"
#include "replay/expect_structure.h"
#include "replay/structure_graph.h"

namespace crossval {

struct StructureFault {
  Cause cause = Cause::graph;
  size_t index = 0;  // of the tap to name
  int layer = -1;
  std::string weight = {};    // of another layer; "" = none
  std::string what = {};      // of which kind it is: faults of one cause and kind belong together
  std::string sentence = {};  // "layer 3 lacks a norm: ..."
};

class StructureCheck {
 public:
  // The files and descriptions must outlive it.
  StructureCheck(const ModelFile& model, const Arch& arch, const Config& config);

  // Taps of whole graphs in order; `index` will name the tap in faults. `is_wrong`: a parameter of
  // it is known to be.
  void add(const Tap& tap, int graph, size_t index, bool is_wrong);

  // Of the first graph that has faults, in its order. Nothing is said of what is missing in layers
  // of which weights are in `unread`, needed and not read: that says it. Those in whose place the
  // graph reads the weights of another layer are taken out of it.
  std::vector<StructureFault> finish(std::vector<std::string>& unread);
  // After finish(): whether all operations of all layers are known to be the right ones, or faults.
  bool is_complete() const { return is_complete_; }

 private:
  struct Layer {
    std::vector<size_t> nodes;
    std::array<int, kOpKinds> found{};
    std::array<int, kOpKinds> excess{};  // over what may be there; below 0: missing
    double factor = 1;
    bool has_wrong = false;
    bool is_excused = false;
    bool is_sound() const;
  };

  void end_graph();
  std::vector<Layer> layers_of_graph() const;
  void count_excess(std::vector<Layer>& layers) const;
  bool check_experts(const std::vector<Layer>& layers, size_t at);
  void check_masks(const std::vector<Layer>& layers, size_t at);
  void check_limits(const std::vector<Layer>& layers, size_t at);
  void check_counts(const std::vector<Layer>& layers, size_t at);
  void check_factor(const std::vector<Layer>& layers, size_t at);
  void check_way(const std::vector<Layer>& layers, size_t at);
  void check_summands(const std::vector<Layer>& layers, size_t at);
  // Who multiplies by a norm's weight, and what that norm reads, whatever moves it; none = there is
  // no such norm.
  struct NormRead {
    size_t reader = 0, input = 0;
  };
  std::optional<NormRead> norm_before(const Layer& layer, std::string_view weight) const;
  void check_softcaps(const std::vector<Layer>& layers, size_t at);
  void check_layers_of_weights();
  void check_blocks_of_cycles();
  void check_reads(const std::vector<Layer>& layers, size_t at);
  // Another layer of which the same is expected, and which has it; -1 and nullptr = none.
  int sibling_number(const std::vector<Layer>& layers, size_t at) const;
  const Layer* sibling_of(const std::vector<Layer>& layers, size_t at) const;
  struct Place {
    size_t node = 0;
    std::string words;  // "TANH at kq_tanh-0 of layer 0"
  };
  Place place_of_missing(const std::vector<Layer>& layers, size_t at, OpKind kind) const;
  Place place_of_extra(const std::vector<Layer>& layers, size_t at, OpKind kind) const;
  std::string layer_words(size_t at) const;
  int layer_number(size_t at) const {
    return at + 1 == expected_.size() ? -1 : static_cast<int>(at);
  }

  const ModelFile& model_;
  const CycleConfig cycles_;
  std::vector<LayerStructure> expected_;
  StructureGraph graph_;
  int at_ = -1;  // number of the graph at hand
  std::vector<std::string> unread_;
  std::vector<StructureFault> faults_;
  bool is_complete_ = true;
};

}  // namespace crossval
