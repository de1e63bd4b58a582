// Two small graphs of an attention layer, one of them changed: what is found and what heals.
#include "compare/graph_parting.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>

#include "compare/op_parameters.h"

namespace crossval {
namespace {

using Kind = GraphDifference::Kind;
using Values = std::vector<float>;

// Builds a graph node by node; values are computed by the tests' own arithmetic.
class Builder {
 public:
  size_t add(const std::string& name, const std::string& op, const Values& values,
             std::vector<GraphSource> sources, int layer = 0) {
    GraphNode node;
    node.name = name;
    node.op = op;
    node.layer = layer;
    node.index = static_cast<int>(graph.size());
    for (const GraphNode& other : graph) node.occurrence += other.name == name;
    node.sources = std::move(sources);
    node.width = static_cast<int64_t>(values.size());
    node.samples = values;
    graph.push_back(node);
    return graph.size() - 1;
  }
  GraphSource of(size_t node) const {
    GraphSource source;
    source.name = graph[node].name;
    source.origin = TapOrigin{graph[node].name, graph[node].occurrence, true};
    return source;
  }
  static GraphSource weight(const std::string& name) {
    GraphSource source;
    source.name = name;
    source.is_weight = true;
    return source;
  }
  static GraphSource mask(int64_t n_visible) {
    GraphSource source;
    source.name = "KQ_mask";
    source.n_visible = n_visible;
    return source;
  }
  std::vector<GraphNode> graph;
};

Values changed(const Values& x, float factor, float summand = 0) {
  Values y;
  for (size_t i = 0; i < x.size(); ++i) {
    y.push_back(x[i] * factor + summand * static_cast<float>(i + 1));
  }
  return y;
}

struct Options {
  bool has_bias = true;
  int rope_mode = 2;
  int64_t n_visible = 4;
  bool adds_norm = false;
  bool scales_queries = false;  // instead of the scores
  float kernel_error = 0;       // relative, of the output projection
  float rounding = 0;           // of the first product
  bool hides_scores = false;    // no values of them are known
};

std::vector<GraphNode> graph_of(const Options& o) {
  Builder b;
  const Values x = {1, -2, 3, 0.5f};
  const size_t embd = b.add("embd", "GET_ROWS", x, {Builder::weight("token_embd.weight")}, -1);
  const size_t norm = b.add("norm-0", "RMS_NORM", changed(x, 0.5f), {b.of(embd)});
  Values q = changed(x, 2 + o.rounding, 0.25f);
  size_t query = b.add("Qcur-0", "MUL_MAT", q, {Builder::weight("q.weight"), b.of(norm)});
  b.graph[query].sources[0].type = GgmlType::Q4_0;
  if (o.has_bias) {
    q = changed(q, 1, 0.7f);
    query = b.add("Qcur-0", "ADD", q, {b.of(query), Builder::weight("q.bias")});
  }
  q = changed(q, 1, static_cast<float>(o.rope_mode + 1));
  query = b.add("Qcur-0", "ROPE", q, {b.of(query)});
  b.graph[query].params[2] = o.rope_mode;
  float scale = 0.125f;
  if (o.scales_queries) {
    q = changed(q, scale);
    query = b.add("node_7", "SCALE", q, {b.of(query)});
    scale = 1;
  }
  Values kq = changed(q, 3);
  const size_t scores = b.add("kq-0", "MUL_MAT", kq, {b.of(query)});
  if (o.hides_scores) b.graph[scores].samples.clear();
  kq = changed(kq, scale * (1 + o.kernel_error), o.n_visible == 4 ? 0 : 5);
  const size_t soft =
      b.add("kq_soft_max-0", "SOFT_MAX", kq, {b.of(scores), Builder::mask(o.n_visible)});
  b.graph[soft].params[0] = std::bit_cast<int32_t>(scale);
  const Values out = changed(kq, 1, o.adds_norm ? 2.0f : 1.0f);
  const size_t residual =
      b.add("l_out-0", "ADD", out, {b.of(soft), b.of(o.adds_norm ? norm : embd)});
  b.add("result_output", "MUL_MAT", changed(out, 7),
        {Builder::weight("output.weight"), b.of(residual)}, -1);
  return b.graph;
}

std::optional<GraphParting> parting(const Options& engine, const Options& backend) {
  return compare_graphs(graph_of(engine), graph_of(backend), false).parting;
}

TEST(GraphParting, EqualGraphsDoNotPart) {
  EXPECT_FALSE(parting({}, {}));
  EXPECT_FALSE(compare_graphs({}, {}, true).parting);
  // A product with quantised weights rounds, and what follows inherits that.
  EXPECT_FALSE(parting({}, {.rounding = 1e-3f}));
}

TEST(GraphParting, AScaleElsewhereHeals) {
  EXPECT_FALSE(parting({}, {.scales_queries = true}));
  EXPECT_FALSE(parting({.scales_queries = true}, {}));
}

TEST(GraphParting, AParameterIsNamedWithBothValues) {
  const auto found = parting({.rope_mode = 2}, {.rope_mode = 0});
  ASSERT_TRUE(found);
  const GraphDifference& first = found->differences.at(0);
  EXPECT_EQ(first.kind, Kind::parameter);
  EXPECT_EQ(first.what, "rope mode");
  EXPECT_EQ(first.engine, "halves (neox)");
  EXPECT_EQ(first.backend, "adjacent pairs (norm)");
}

TEST(GraphParting, AWeightThatOnlyOneReads) {
  const auto missing = parting({}, {.has_bias = false});
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->differences.at(0).kind, Kind::weight);
  EXPECT_EQ(missing->differences.at(0).what, "q.bias");
  EXPECT_FALSE(missing->differences.at(0).is_engines);
  const auto extra = parting({.has_bias = false}, {});
  ASSERT_TRUE(extra);
  EXPECT_EQ(extra->differences.at(0).what, "q.bias");
  EXPECT_TRUE(extra->differences.at(0).is_engines);
}

TEST(GraphParting, AMaskWithAnotherWindow) {
  const auto found = parting({.n_visible = 2}, {});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->differences.at(0).kind, Kind::mask);
  EXPECT_EQ(found->differences.at(0).engine, "2");
  EXPECT_EQ(found->differences.at(0).backend, "4");
}

TEST(GraphParting, AnotherTensorIsRead) {
  const auto found = parting({}, {.adds_norm = true});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->differences.at(0).kind, Kind::source);
  EXPECT_EQ(found->differences.at(0).engine, "embd (GET_ROWS)");
  EXPECT_EQ(found->differences.at(0).backend, "norm-0 (RMS_NORM)");
}

TEST(GraphParting, TheSameOperationWithOtherNumbers) {
  const auto found = parting({}, {.kernel_error = 0.1f});
  ASSERT_TRUE(found);
  EXPECT_EQ(graph_of({})[found->backend].name, "kq_soft_max-0");
  EXPECT_EQ(found->differences.at(0).kind, Kind::result);
  EXPECT_TRUE(found->unseen.empty());
  // What it reads may be wrong as well, when nothing is known of that.
  const auto hidden = parting({.hides_scores = true}, {.kernel_error = 0.1f, .hides_scores = true});
  ASSERT_TRUE(hidden);
  ASSERT_EQ(hidden->unseen.size(), 1U);
  EXPECT_EQ(graph_of({})[hidden->unseen[0]].name, "kq-0");
}

std::vector<GraphNode> all_right(std::vector<GraphNode> graph) {
  for (GraphNode& node : graph) node.is_right = true;
  return graph;
}

TEST(GraphParting, WhatTwoRightOperationsRoundApartIsNoDifference) {
  const auto engine = all_right(graph_of({})),
             backend = all_right(graph_of({.kernel_error = 0.1f}));
  const GraphComparison found = compare_graphs(engine, backend, true);
  EXPECT_FALSE(found.parting);
  EXPECT_TRUE(found.is_alike);
  EXPECT_FALSE(compare_graphs(graph_of({}), backend, true).is_alike);  // nobody recomputed it
}

TEST(GraphParting, WhatRoundingHidesIsFoundWhereTheLogitsPart) {
  // The norm that is added is far off by rounding, so values tell nothing.
  const auto engine = all_right(graph_of({}));
  const auto backend = all_right(graph_of({.adds_norm = true, .kernel_error = 3}));
  EXPECT_FALSE(compare_graphs(engine, backend, false).parting);
  const GraphComparison found = compare_graphs(engine, backend, true);
  ASSERT_TRUE(found.parting);
  EXPECT_EQ(backend[found.parting->backend].name, "l_out-0");
  EXPECT_EQ(found.parting->differences.at(0).kind, Kind::source);
  EXPECT_FALSE(found.is_alike);
}

TEST(OpParameters, HaveWords) {
  const auto rope = parameters_of("ROPE");
  ASSERT_FALSE(rope.empty());
  for (const OpParameter& one : rope) EXPECT_EQ(one.op, "ROPE");
  EXPECT_EQ(parameter_text(rope[1], 40), "interleaved sections (imrope)");
  EXPECT_EQ(parameter_text(rope[1], 77), "mode 77");
  EXPECT_TRUE(parameters_of("MUL_MAT").empty());
}

// Queries turned and then normed by one engine, in two operations; normed, in one, and then turned
// by the other.
std::vector<GraphNode> normed_queries(bool is_fused_and_before) {
  Builder b;
  const Values x = {1, -2, 3, 0.5f};
  const size_t embd = b.add("embd", "GET_ROWS", x, {Builder::weight("token_embd.weight")}, -1);
  Values q = changed(x, 2, 0.25f);
  size_t query = b.add("Qcur-0", "MUL_MAT", q, {Builder::weight("q.weight"), b.of(embd)});
  const auto turn = [&] {
    q = changed(q, 1, 3);
    query = b.add("Qcur-0", "ROPE", q, {b.of(query)});
  };
  if (is_fused_and_before) {
    q = changed(q, 0.5f);
    query = b.add("Qcur_normed-0", "FUSED_RMS_NORM", q,
                  {b.of(query), Builder::weight("q_norm.weight")});
    turn();
  } else {
    turn();
    query = b.add("norm-0", "RMS_NORM", changed(q, 0.25f), {b.of(query)});
    q = changed(q, 0.5f);
    query = b.add("Qcur_norm-0", "MUL", q, {b.of(query), Builder::weight("q_norm.weight")});
  }
  b.add("result_output", "MUL_MAT", changed(q, 7), {Builder::weight("output.weight"), b.of(query)},
        -1);
  return b.graph;
}

TEST(GraphParting, AFusedNormOfSomethingElseIsNoKernelsFault) {
  const auto found = compare_graphs(normed_queries(false), normed_queries(true), true).parting;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->backend, 2u);
  ASSERT_EQ(found->differences.size(), 1u);
  EXPECT_EQ(found->differences[0].kind, Kind::source);
  EXPECT_EQ(found->differences[0].engine, "Qcur-0 (ROPE)");
  EXPECT_EQ(found->differences[0].backend, "Qcur-0 (MUL_MAT)");
}

}  // namespace
}  // namespace crossval
