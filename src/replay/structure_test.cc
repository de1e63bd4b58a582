// What a graph lacks, what it has too much of, and whose weights it reads, told from a graph that
// is whole.
#include "replay/structure.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gguf/model_file.h"
#include "replay/expectations.h"
#include "replay/sample_taps.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::bits;
using testing::TempDir;

// A llama graph of two layers as llama.cpp builds it, taps without values. What `change` does to a
// tap, the taps behind it read.
class Graph {
 public:
  // Whether a tap stays; it may be changed.
  using Change = std::function<bool(Tap&)>;
  explicit Graph(Change change = [](Tap&) { return true; }) : change_(std::move(change)) {}

  std::vector<Tap> taps() {
    std::string x = add("GET_ROWS", "embd", -1, {"token_embd.weight", "inp_tokens"});
    for (int layer = 0; layer < 2; ++layer) x = add_layer(layer, x);
    const std::string norm = add("RMS_NORM", "norm", -1, {x});
    add("MUL_MAT", "result_output", -1,
        {"output.weight", add("MUL", "result_norm", -1, {norm, "output_norm.weight"})});
    return taps_;
  }

 private:
  std::string add_layer(int layer, const std::string& x) {
    const auto w = [&](const char* role) { return fmt::format("blk.{}.{}.weight", layer, role); };
    const auto tap = [&](const char* op, const char* name, const std::vector<std::string>& sources,
                         float factor = 0) {
      return add(op, fmt::format("{}-{}", name, layer), layer, sources, factor);
    };
    std::string in = tap("MUL", "attn_norm", {tap("RMS_NORM", "norm", {x}), w("attn_norm")});
    const std::string q =
        tap("ROPE", "Qcur", {tap("MUL_MAT", "Qcur", {w("attn_q"), in}), "inp_pos"});
    const std::string k =
        tap("ROPE", "Kcur", {tap("MUL_MAT", "Kcur", {w("attn_k"), in}), "inp_pos"});
    const std::string v = tap("MUL_MAT", "Vcur", {w("attn_v"), in});
    const std::string kq = tap("SOFT_MAX", "kq_soft_max", {tap("MUL_MAT", "kq", {k, q}), "KQ_mask"},
                               1 / std::sqrt(16.0f));
    const std::string out =
        tap("MUL_MAT", "attn_out", {w("attn_output"), tap("MUL_MAT", "kqv", {v, kq})});
    const std::string sum = tap("ADD", "ffn_inp", {out, x});
    in = tap("MUL", "ffn_norm", {tap("RMS_NORM", "norm", {sum}), w("ffn_norm")});
    const std::string gate = tap("MUL_MAT", "ffn_gate", {w("ffn_gate"), in});
    const std::string product =
        tap("SWIGLU", "ffn_swiglu", {gate, tap("MUL_MAT", "ffn_up", {w("ffn_up"), in})});
    return tap("ADD", "l_out", {tap("MUL_MAT", "ffn_out", {w("ffn_down"), product}), sum});
  }

  // The handle of what was made: its name and occurrence, or where it is left out its first
  // input's.
  std::string add(const char* op, const std::string& name, int layer,
                  const std::vector<std::string>& sources, float factor = 0) {
    Tap tap;
    tap.op = op;
    tap.name = name;
    tap.layer = layer;
    if (factor != 0) tap.params[0] = bits(factor);
    for (const std::string& source : sources) {
      TapTensor tensor{.name = source, .ne = {16, 4, 1, 1}};
      const size_t at = source.find('#');
      if (at != std::string::npos) {
        tensor.name = source.substr(0, at);
        tensor.origin = TapOrigin{tensor.name, std::stoi(source.substr(at + 1)), true};
      }
      tap.sources.push_back(tensor);
    }
    tap.occurrence = n_of_[name];
    if (!change_(tap)) return sources[0].find('#') != std::string::npos ? sources[0] : sources[1];
    ++n_of_[name];
    taps_.push_back(tap);
    return fmt::format("{}#{}", name, tap.occurrence);
  }

  Change change_;
  std::map<std::string, int> n_of_;
  std::vector<Tap> taps_;
};

struct Found {
  std::vector<StructureFault> faults;
  std::vector<std::string> unread;
};

Found found_in(const std::vector<Tap>& taps, std::vector<std::string> unread = {}) {
  const TempDir dir;
  testing::write_tiny_model(dir.file("tiny.gguf"));
  const auto model = ModelFile::open(dir.file("tiny.gguf"));
  const Expectations expectations(model);
  std::optional<StructureCheck> check = expectations.structure_check();
  for (size_t i = 0; i < taps.size(); ++i) check->add(taps[i], 0, i, false);
  Found found{check->finish(unread), {}};
  found.unread = unread;
  EXPECT_TRUE(check->is_complete());
  return found;
}

// The only fault of a graph that was changed so.
StructureFault fault_of(const Graph::Change& change) {
  const Found found = found_in(Graph(change).taps());
  EXPECT_EQ(found.faults.size(), 1U);
  return found.faults.empty() ? StructureFault{} : found.faults.front();
}

bool is(const Tap& tap, const char* op, const char* name) {
  return tap.op == op && tap.name == name;
}

TEST(Structure, WholeGraphIsRight) { EXPECT_TRUE(found_in(Graph().taps()).faults.empty()); }

TEST(Structure, WhatIsLeftOutIsNamedWithItsLayer) {
  const auto left_out = [](const char* op, const char* name, int occurrence = 0) {
    return fault_of([=](Tap& tap) { return !is(tap, op, name) || tap.occurrence != occurrence; });
  };
  const StructureFault sum = left_out("ADD", "ffn_inp-1");
  EXPECT_EQ(sum.cause, Cause::operation_missing);
  EXPECT_EQ(sum.layer, 1);
  EXPECT_EQ(sum.sentence,
            "layer 1 lacks a sum (ADD): it has 1 where the architecture calls for 2 (residual); "
            "layer 0 has it in ADD at ffn_inp-0");
  const StructureFault rope = left_out("ROPE", "Kcur-0", 1);
  EXPECT_EQ(rope.layer, 0);
  EXPECT_EQ(rope.sentence,
            "layer 0 lacks a rotation (ROPE): it has 1 where the architecture calls for 2 "
            "(queries, keys); layer 1 has it in ROPE at Kcur-1");
  const StructureFault norm = left_out("RMS_NORM", "norm-1", 0);
  EXPECT_NE(norm.sentence.find("attn_norm.weight multiplies what was not normed"),
            std::string::npos)
      << norm.sentence;
  EXPECT_EQ(left_out("RMS_NORM", "norm").layer, -1);
}

TEST(Structure, WhatEveryLayerLacksIsMissedToo) {
  const Found found = found_in(Graph([](Tap& tap) { return tap.op != "ROPE"; }).taps());
  ASSERT_EQ(found.faults.size(), 2U);
  EXPECT_EQ(found.faults[1].sentence,
            "layer 1 lacks a rotation (ROPE): it has 0 where the architecture calls for 2 "
            "(queries, keys)");
}

TEST(Structure, WhatIsTooManyIsNamed) {
  std::vector<Tap> taps = Graph().taps();
  const auto place = std::ranges::find_if(
      taps, [](const Tap& tap) { return is(tap, "RMS_NORM", "norm-1") && tap.occurrence == 1; });
  Tap extra = *place;
  extra.name = "node_99";
  extra.sources[0].origin = TapOrigin{"norm-1", 1, true};
  taps.insert(place + 1, extra);
  const Found found = found_in(taps);
  ASSERT_EQ(found.faults.size(), 1U);
  EXPECT_EQ(found.faults[0].cause, Cause::operation_extra);
  EXPECT_EQ(
      found.faults[0].sentence,
      "layer 1 has one too many of the kind norm: it has 3 where the architecture calls for 2 "
      "(of the block's input); RMS_NORM at node_99, which reads RMS_NORM at norm-1");
}

TEST(Structure, FactorsAreMultipliedOnTheWay) {
  const std::vector<StructureFault> faults = found_in(Graph([](Tap& tap) {
                                                        if (is(tap, "SOFT_MAX", "kq_soft_max-0"))
                                                          tap.params[0] = bits(0.5f);
                                                        return true;
                                                      }).taps())
                                                 .faults;
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].cause, Cause::factor);
  EXPECT_EQ(
      faults[0].sentence,
      "layer 0 multiplies values by 0.5 in all, by the model file it is 0.25: a factor of 0.5 "
      "is missing or is another");
}

TEST(Structure, FeedForwardReadsWhatAttentionMade) {
  const StructureFault fault = fault_of([](Tap& tap) {
    if (is(tap, "RMS_NORM", "norm-1") && tap.occurrence == 1) {
      tap.sources[0].origin = TapOrigin{"l_out-0", 0, true};
    }
    return true;
  });
  EXPECT_EQ(fault.layer, 1);
  EXPECT_EQ(
      fault.sentence,
      "layer 1: the feed-forward part reads the layer's input as attention does, by the model "
      "file what attention made of it");
}

TEST(Structure, AttentionHasAMask) {
  const StructureFault fault = fault_of([](Tap& tap) {
    if (tap.name == "kq_soft_max-1") tap.sources.pop_back();
    return true;
  });
  EXPECT_EQ(fault.sentence,
            "layer 1 has no mask in its attention, SOFT_MAX at kq_soft_max-1: every position sees "
            "all");
}

TEST(Structure, WeightsOfAnotherLayerAreNamed) {
  const Found found = found_in(Graph([](Tap& tap) {
                                 for (TapTensor& source : tap.sources) {
                                   if (source.name == "blk.1.attn_q.weight")
                                     source.name = "blk.0.attn_q.weight";
                                 }
                                 return true;
                               }).taps(),
                               {"blk.1.attn_q.weight"});
  ASSERT_EQ(found.faults.size(), 1U);
  EXPECT_EQ(found.faults[0].cause, Cause::other_layer);
  EXPECT_EQ(found.faults[0].sentence, "attn_q.weight of layer 0 is used in layer 1");
  EXPECT_TRUE(found.unread.empty());
}

TEST(Structure, SwappedWeightsAreBothNamed) {
  const Found found = found_in(Graph([](Tap& tap) {
                                 for (TapTensor& source : tap.sources) {
                                   if (source.name == "blk.1.ffn_up.weight") {
                                     source.name = "blk.0.ffn_up.weight";
                                   } else if (source.name == "blk.0.ffn_up.weight") {
                                     source.name = "blk.1.ffn_up.weight";
                                   }
                                 }
                                 return true;
                               }).taps());
  ASSERT_EQ(found.faults.size(), 2U);
  EXPECT_EQ(found.faults[0].sentence, "ffn_up.weight of layer 1 is used in layer 0");
  EXPECT_EQ(found.faults[1].sentence, "ffn_up.weight of layer 0 is used in layer 1");
}

TEST(Structure, FusedOperationsCountAsTheirParts) {
  std::vector<Tap> taps = Graph([](Tap& tap) {
                            // The heads in one operation, as flash attention has them.
                            if (tap.name.starts_with("kq-") || tap.name.starts_with("kq_soft_max"))
                              return false;
                            if (tap.name.starts_with("kqv-")) {
                              tap.op = "FLASH_ATTN_EXT";
                              tap.params[0] = bits(0.25f);
                              while (tap.sources.size() < 4) {
                                tap.sources.push_back({.name = "KQ_mask", .ne = {16, 4, 1, 1}});
                              }
                            }
                            if (tap.op == "RMS_NORM") tap.op = "FUSED_RMS_NORM";
                            return true;
                          }).taps();
  EXPECT_TRUE(found_in(taps).faults.empty());
}

}  // namespace
}  // namespace crossval
