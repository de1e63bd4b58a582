#include "arch/checkpoint_names.h"

#include <gtest/gtest.h>

#include "arch/archs.h"
#include "arch/checkpoint_table.h"

namespace crossval {
namespace {

// Four heads of four elements, two of keys; a row of the residual has eight.
Config small_config() {
  Config config;
  config.n_embd = 8;
  config.head_dim = 4;
  config.layers.resize(2);
  for (LayerConfig& layer : config.layers) layer = {.n_heads = 4, .n_kv_heads = 2, .n_ff = 6};
  return config;
}

std::optional<CheckpointSource> source_of(Role role, const std::vector<int64_t>& shape,
                                          const CheckpointRow& row, const CheckpointFacts& facts,
                                          bool is_bias = false, int layer = 1) {
  TensorSpec spec;
  spec.role = role;
  spec.layer = layer;
  spec.is_linear = true;
  return checkpoint_source(spec, is_bias, shape, row, small_config(), facts);
}

// Numbers of the elements, in the file's order.
std::vector<int64_t> elements_of(const CheckpointSource& source) {
  std::vector<int64_t> all;
  for (const CheckpointPart& part : source.parts) {
    for (int64_t r = 0; r < part.n_rows(); ++r) {
      for (int64_t c = 0; c < part.n_cols; ++c) {
        all.push_back(part.row_begin(r) + c * part.col_stride);
      }
    }
  }
  return all;
}

TEST(CheckpointNames, AreTakenAsTheCheckpointHasThem) {
  const CheckpointFacts facts = {.shapes = {{"transformer.h.1.attn.c_proj.weight", {8, 16}}}};
  const auto source = source_of(Role::attn_output, {16, 8}, {}, facts);
  ASSERT_TRUE(source);
  EXPECT_EQ(source->parts.front().name, "transformer.h.1.attn.c_proj.weight");
  EXPECT_EQ(elements_of(*source).back(), 8 * 16 - 1);
  EXPECT_FALSE(source_of(Role::attn_output, {16, 8}, {}, facts, false, 0));
  EXPECT_FALSE(source_of(Role::attn_output, {16, 9}, {}, facts)) << "of another size";
  EXPECT_FALSE(source_of(Role::ffn_up, {16, 8}, {}, facts));
}

TEST(CheckpointNames, HalvesOfHeadsTakeTurns) {
  const CheckpointFacts facts = {.shapes = {{"model.layers.1.self_attn.k_proj.bias", {8}}}};
  const auto source = source_of(Role::attn_k, {8}, {.rotary_halves = true}, facts, true);
  ASSERT_TRUE(source);
  EXPECT_EQ(source->form, CheckpointForm::rotary_halves);
  EXPECT_EQ(elements_of(*source), (std::vector<int64_t>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(elements_of(*source_of(Role::attn_k, {8}, {}, facts, true))[1], 1);
}

TEST(CheckpointNames, FusedQueriesKeysAndValuesArePartedByGroup) {
  const CheckpointFacts facts = {
      .shapes = {{"transformer.h.1.self_attention.query_key_value.bias", {32}}}};
  const auto source =
      source_of(Role::attn_qkv, {32}, {.qkv = CheckpointRow::Qkv::by_group}, facts, true);
  ASSERT_TRUE(source);
  const std::vector<int64_t> elements = elements_of(*source);
  ASSERT_EQ(elements.size(), 32u);
  EXPECT_EQ(elements[7], 7) << "two queries of the first group";
  EXPECT_EQ(elements[8], 16) << "the queries of the second group follow";
  EXPECT_EQ(elements[16], 8) << "then the first key";
  EXPECT_EQ(elements[24], 12) << "then the first value";
}

TEST(CheckpointNames, SeparateMatricesAreJoined) {
  const CheckpointFacts facts = {.shapes = {{"model.layers.1.self_attn.q_proj.weight", {16, 8}},
                                            {"model.layers.1.self_attn.k_proj.weight", {8, 8}},
                                            {"model.layers.1.self_attn.v_proj.weight", {8, 8}}}};
  const auto source = source_of(Role::attn_qkv, {8, 32}, {}, facts);
  ASSERT_TRUE(source);
  EXPECT_EQ(source->form, CheckpointForm::joined);
  EXPECT_EQ(source->parts.size(), 3u);
}

TEST(CheckpointNames, ExpertsAreStackedOrPartsOfOneTensor) {
  const CheckpointFacts separate = {
      .shapes = {{"model.layers.1.mlp.experts.0.up_proj.weight", {6, 8}},
                 {"model.layers.1.mlp.experts.1.up_proj.weight", {6, 8}}}};
  const auto stacked = source_of(Role::ffn_up_exps, {8, 6, 2}, {}, separate);
  ASSERT_TRUE(stacked);
  EXPECT_EQ(stacked->parts[1].name, "model.layers.1.mlp.experts.1.up_proj.weight");
  EXPECT_FALSE(source_of(Role::ffn_up_exps, {8, 6, 3}, {}, separate)) << "one is missing";

  const CheckpointFacts fused = {
      .shapes = {{"model.layers.1.mlp.experts.gate_up_proj", {2, 8, 12}}}};
  const auto interleaved = source_of(Role::ffn_up_exps, {8, 6, 2},
                                     {.experts = CheckpointRow::Fused::interleaved}, fused);
  ASSERT_TRUE(interleaved);
  const std::vector<int64_t> elements = elements_of(*interleaved);
  EXPECT_EQ(elements[0], 1) << "gate and up take turns";
  EXPECT_EQ(elements[1], 13) << "the next input";
  EXPECT_EQ(elements[8], 3) << "the next row";
  EXPECT_EQ(elements[48], 97) << "the next expert";
}

TEST(CheckpointNames, PaddedRowsAreZerosAndTiedOutputsTheEmbedding) {
  const CheckpointFacts facts = {.shapes = {{"model.embed_tokens.weight", {5, 8}}}};
  const auto source = source_of(Role::output, {8, 7}, {}, facts, false, -1);
  ASSERT_TRUE(source);
  EXPECT_TRUE(source->is_tied);
  ASSERT_EQ(source->parts.size(), 2u);
  EXPECT_EQ(source->parts[1].name, "");
  EXPECT_EQ(source->parts[1].n_rows(), 2);
}

TEST(CheckpointNames, ValuesAreChangedAsTheRowSays) {
  const CheckpointFacts facts = {.shapes = {{"model.layers.1.input_layernorm.weight", {8}},
                                            {"model.layers.1.mamba.A_log", {4}}}};
  EXPECT_EQ(source_of(Role::attn_norm, {8}, {.norms_plus_one = true}, facts)->values,
            CheckpointValues::plus_one);
  EXPECT_EQ(source_of(Role::attn_norm, {8}, {}, facts)->values, CheckpointValues::as_is);
  EXPECT_EQ(source_of(Role::ssm_a, {4}, {}, facts)->values, CheckpointValues::minus_exp);
}

TEST(CheckpointNames, FactorsOfRopeFollowFromTheConfiguration) {
  const CheckpointFacts facts = {.config = {{"rope_parameters",
                                             {{"rope_type", "llama3"},
                                              {"rope_theta", 10000.0},
                                              {"factor", 8.0},
                                              {"original_max_position_embeddings", 64}}}}};
  const auto source = source_of(Role::rope_freqs, {8}, {}, facts, false, -1);
  ASSERT_TRUE(source);
  ASSERT_EQ(source->computed.size(), 8u);
  EXPECT_EQ(source->computed.front(), 1) << "fast pairs stay";
  EXPECT_EQ(source->computed.back(), 8) << "slow ones are divided by the factor";
  EXPECT_FALSE(source_of(Role::rope_freqs, {8}, {}, {}, false, -1));
}

TEST(CheckpointRows, BelongToArchitecturesOfTheTable) {
  for (const CheckpointRow& row : checkpoint_rows()) {
    EXPECT_NE(find_arch(row.arch), nullptr) << row.arch;
    EXPECT_EQ(find_checkpoint_row(row.arch), &row) << row.arch;
  }
  EXPECT_EQ(find_checkpoint_row("no such architecture"), nullptr);
}

TEST(CheckpointTable, NamesStandOnceForARole) {
  const auto names = checkpoint_names();
  for (size_t i = 0; i < names.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(names[i].role == names[j].role && names[i].name == names[j].name &&
                   names[i].layout == names[j].layout)
          << names[i].name;
    }
  }
}

}  // namespace
}  // namespace crossval
