// What bears on the logits and what does not, on tiny models and changed copies of them.
#include "run/model_diff.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::ModelEdit;
using testing::TempDir;
using testing::write_tiny_model;
using Kind = TensorDifference::Kind;

class ModelDiffTest : public ::testing::Test {
 protected:
  std::optional<ModelDiff> diff_with(const std::function<void(ModelEdit&)>& change,
                                     const testing::TinyModelOptions& options = {}) {
    write_tiny_model(folder_.file("a.gguf"), options);
    ModelEdit edit(folder_.file("a.gguf"));
    change(edit);
    edit.write(folder_.file("b.gguf"));
    ThreadPool pool(2);
    return compare_models(*ModelFile::open(folder_.file("a.gguf")),
                          *ModelFile::open(folder_.file("b.gguf")), pool);
  }

  TempDir folder_;
};

TEST_F(ModelDiffTest, a_copy_in_another_order_is_the_same) {
  EXPECT_FALSE(diff_with([](ModelEdit& edit) { edit.move_to_front("output_norm.weight"); }));
}

TEST_F(ModelDiffTest, names_unknown_keys_and_defaults_do_not_bear) {
  const auto diff = diff_with([](ModelEdit& edit) {
    edit.metadata().set_string("general.name", "another");
    edit.metadata().set_u32("llama.something_new", 7);
    edit.metadata().set_u32("llama.attention.key_length", 16);  // 64 / 4
    edit.metadata().set_f32("llama.rope.scaling.factor", 1);
  });
  ASSERT_TRUE(diff);
  EXPECT_EQ(diff->keys.size(), 4U);
  EXPECT_FALSE(diff->bears()) << model_diff_notes(*diff).front();
}

TEST_F(ModelDiffTest, a_key_that_engines_compute_with_bears) {
  for (const char* key : {"llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon",
                          "llama.embedding_scale"}) {
    const auto diff = diff_with([&](ModelEdit& edit) { edit.metadata().set_f32(key, 0.25f); });
    ASSERT_TRUE(diff && diff->keys.size() == 1) << key;
    EXPECT_TRUE(diff->bears()) << key;
  }
}

TEST_F(ModelDiffTest, one_byte_of_a_tensor_bears) {
  const auto diff = diff_with([](ModelEdit& edit) {
    edit.edit_bytes("blk.1.ffn_up.weight",
                    [](std::vector<std::byte>& bytes) { bytes[100] ^= std::byte{4}; });
  });
  ASSERT_TRUE(diff);
  ASSERT_EQ(diff->tensors.size(), 1U);
  EXPECT_EQ(diff->tensors[0].kind, Kind::values);
  EXPECT_EQ(diff->tensors[0].tensors, std::vector<std::string>{"blk.1.ffn_up.weight"});
  EXPECT_TRUE(diff->bears());
  EXPECT_FALSE(diff->other_checkpoint);
}

TEST_F(ModelDiffTest, the_same_values_stored_otherwise_do_not_bear) {
  const auto diff =
      diff_with([](ModelEdit& edit) { edit.convert("blk.0.ffn_up.weight", GgmlType::F32); },
                {.n_embd = 64, .matrix_type = GgmlType::Q8_0});
  ASSERT_TRUE(diff);
  ASSERT_EQ(diff->tensors.size(), 1U);
  EXPECT_EQ(diff->tensors[0].kind, Kind::type);
  EXPECT_FALSE(diff->bears());
}

TEST_F(ModelDiffTest, quantising_is_told_by_the_size_of_its_error) {
  const auto diff =
      diff_with([](ModelEdit& edit) { edit.convert("blk.0.ffn_up.weight", GgmlType::Q8_0); });
  ASSERT_TRUE(diff);
  EXPECT_EQ(diff->tensors.at(0).is_rounding, std::optional(true));
  EXPECT_TRUE(diff->bears());
  const auto more = diff_with([](ModelEdit& edit) {
    edit.scale("blk.0.ffn_up.weight", 1.5f);
    edit.convert("blk.0.ffn_up.weight", GgmlType::Q8_0);
  });
  ASSERT_TRUE(more);
  EXPECT_EQ(more->tensors.at(0).is_rounding, std::optional(false));
}

TEST_F(ModelDiffTest, an_output_that_repeats_the_embedding_may_be_left_out) {
  const auto same =
      diff_with([](ModelEdit& edit) { edit.copy_content("token_embd.weight", "output.weight"); });
  EXPECT_TRUE(same && same->bears());
  const auto left_out = diff_with([](ModelEdit& edit) { edit.remove("output.weight"); });
  ASSERT_TRUE(left_out);
  EXPECT_EQ(left_out->tensors.at(0).kind, Kind::only_engine);
  EXPECT_TRUE(left_out->bears());
  // Against a file whose output is the embedding, on either side.
  ModelEdit tied(folder_.file("a.gguf"));
  tied.copy_content("token_embd.weight", "output.weight");
  tied.write(folder_.file("tied.gguf"));
  ThreadPool pool(2);
  const auto repeats = ModelFile::open(folder_.file("tied.gguf"));
  const auto without = ModelFile::open(folder_.file("b.gguf"));
  for (const auto& diff :
       {compare_models(*repeats, *without, pool), compare_models(*without, *repeats, pool)}) {
    ASSERT_TRUE(diff);
    EXPECT_EQ(diff->tensors.size(), 1U);
    EXPECT_FALSE(diff->bears());
  }
}

// W + B A with random B [n_rows, rank] and A [rank, row_len], for every projection of that name.
void merge_adapter(ModelEdit& edit, const std::string& tensor, int rank) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> values = edit.values(tensor);
  constexpr size_t row_len = 64;
  const size_t n_rows = values.size() / row_len;
  for (int r = 0; r < rank; ++r) {
    std::vector<float> a(row_len), b(n_rows);
    for (float& x : a) x = normal(random);
    for (float& x : b) x = normal(random);
    for (size_t i = 0; i < values.size(); ++i) values[i] += b[i / row_len] * a[i % row_len];
  }
  edit.replace_f32(tensor, edit.shape(tensor), values);
}

TEST_F(ModelDiffTest, a_move_of_low_rank_is_a_fine_tune) {
  const auto tuned = [&](int rank) {
    return diff_with([&](ModelEdit& edit) {
      for (const char* name :
           {"blk.0.attn_q.weight", "blk.1.attn_q.weight", "blk.1.attn_v.weight"}) {
        merge_adapter(edit, name, rank);
      }
    });
  };
  EXPECT_EQ(tuned(2)->adapter_rank, 2);
  EXPECT_TRUE(tuned(2)->bears());
  EXPECT_EQ(tuned(40)->adapter_rank, 0);
  // Damage of one weight in each is no adapter, and neither is one matrix alone.
  const auto damaged = diff_with([](ModelEdit& edit) {
    for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_q.weight"}) {
      edit.edit_bytes(name, [](std::vector<std::byte>& bytes) { bytes[102] ^= std::byte{4}; });
    }
  });
  EXPECT_EQ(damaged->adapter_rank, 0);
  EXPECT_EQ(diff_with([](ModelEdit& edit) {
              merge_adapter(edit, "blk.0.attn_q.weight", 2);
            })->adapter_rank,
            0);
}

TEST_F(ModelDiffTest, all_weights_moved_is_another_checkpoint) {
  write_tiny_model(folder_.file("a.gguf"), {.seed = 1});
  write_tiny_model(folder_.file("b.gguf"), {.seed = 2});
  ThreadPool pool(2);
  const auto diff = compare_models(*ModelFile::open(folder_.file("a.gguf")),
                                   *ModelFile::open(folder_.file("b.gguf")), pool);
  ASSERT_TRUE(diff);
  EXPECT_TRUE(diff->other_checkpoint);
}

}  // namespace
}  // namespace crossval
