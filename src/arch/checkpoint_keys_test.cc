#include "arch/checkpoint_keys.h"

#include <gtest/gtest.h>

#include "arch/archs.h"
#include "arch/checkpoint_config.h"

namespace crossval {
namespace {

using nlohmann::json;

const ExpectedKey* find_key(const std::vector<ExpectedKey>& all, const std::string& key) {
  for (const ExpectedKey& one : all) {
    if (one.key == key) return &one;
  }
  return nullptr;
}

std::vector<ExpectedKey> keys_of(const char* arch, const json& config, int n_layers = 4) {
  Config read;
  read.n_layers = n_layers;
  read.layers.resize(static_cast<size_t>(n_layers));
  return expected_keys(*find_arch(arch), read, {.config = config});
}

TEST(CheckpointConfig, ValuesAreFoundByPath) {
  const json config = {{"a", {{"b", 3}}}, {"null", nullptr}, {"list", {1, 2}}};
  EXPECT_EQ(find_value(config, "x|a.b").value, 3);
  EXPECT_EQ(find_value(config, "x|a.b").path, "a.b");
  EXPECT_FALSE(find_value(config, "null"));
  EXPECT_FALSE(find_value(config, "a.b.c"));
  EXPECT_FALSE(find_value(config, "list.0"));
  EXPECT_FALSE(find_number({{"n", "text"}}, "n"));
}

TEST(CheckpointKeys, AreFoundUnderTheNamesOfFamilies) {
  const auto keys = keys_of("llama", {{"hidden_size", 64},
                                      {"num_attention_heads", 4},
                                      {"num_key_value_heads", 2},
                                      {"num_hidden_layers", 4},
                                      {"rope_parameters", {{"rope_theta", 5e5}}},
                                      {"rms_norm_eps", 1e-6}});
  EXPECT_EQ(find_key(keys, "embedding_length")->expected, 64);
  EXPECT_EQ(find_key(keys, "attention.head_count_kv")->expected, 2);
  EXPECT_EQ(find_key(keys, "attention.key_length")->expected, 16);
  EXPECT_EQ(find_key(keys, "attention.key_length")->fallback, 16);
  EXPECT_EQ(find_key(keys, "rope.freq_base")->expected, 5e5);
  EXPECT_EQ(find_key(keys, "rope.freq_base")->fallback, 10000);
  EXPECT_EQ(find_key(keys, "rope.freq_base")->from, "rope_parameters.rope_theta");
  EXPECT_EQ(find_key(keys, "attention.layer_norm_rms_epsilon")->expected, 1e-6);
  EXPECT_EQ(find_key(keys_of("gpt2", {{"n_embd", 64}}), "feed_forward_length")->expected, 256);
}

TEST(CheckpointKeys, FactorsAreLookedForWhereTheArchitectureHasThem) {
  const json config = {{"embedding_multiplier", 12.0}};
  EXPECT_EQ(find_key(keys_of("granite", config), "embedding_scale")->fallback, 1);
  EXPECT_TRUE(find_key(keys_of("falcon-h1", config), "embedding_scale")->fallback.is_null());
}

TEST(CheckpointKeys, YarnHasAllItsParameters) {
  const json rope = {{"rope_type", "yarn"},
                     {"factor", 8.0},
                     {"original_max_position_embeddings", 4096},
                     {"beta_fast", 30.0}};
  const auto keys = keys_of("llama", {{"rope_scaling", rope}});
  EXPECT_EQ(find_key(keys, "rope.scaling.type")->expected, "yarn");
  EXPECT_EQ(find_key(keys, "rope.scaling.factor")->expected, 8.0);
  EXPECT_EQ(find_key(keys, "rope.scaling.original_context_length")->expected, 4096);
  EXPECT_EQ(find_key(keys, "rope.scaling.yarn_beta_fast")->fallback, 32.0);
  EXPECT_EQ(find_key(keys_of("llama", json::object()), "rope.scaling.type")->expected, "none");
}

TEST(CheckpointKeys, LayersAreHeldAgainstTheirTypes) {
  Config config;
  config.window_len = 8;
  config.layers.resize(2);
  config.layers[0].has_window = true;
  const json hf = {{"layer_types", {"sliding_attention", "full_attention"}}};
  auto layers = expected_layers(*find_arch("gemma2"), config, {.config = hf});
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].expected, layers[0].actual);
  config.layers[1].has_window = true;
  layers = expected_layers(*find_arch("gemma2"), config, {.config = hf});
  EXPECT_NE(layers[0].expected, layers[0].actual);
}

TEST(CheckpointKeys, NonsenseExpectsNothing) {
  const json hf = {{"hidden_size", "wide"},      {"num_attention_heads", 0},
                   {"attn_layer_period", -1},    {"attn_layer_offset", 1e300},
                   {"layer_types", {1, 2, 3}},   {"rope_parameters", {"a", "b"}},
                   {"num_hidden_layers", 1e300}, {"no_rope_layers", 7}};
  for (const char* name : {"llama", "jamba", "gemma3", "qwen3next", "deepseek2"}) {
    for (const ExpectedKey& key : keys_of(name, hf)) {
      EXPECT_NE(key.from, "hidden_size") << name;
      EXPECT_NE(key.key, "block_count") << name;
    }
  }
}

}  // namespace
}  // namespace crossval
