// Latent attention in both forms of its matrices, and what an indexer keeps native from.
#include <gtest/gtest.h>

#include "arch/archs.h"
#include "base/error.h"
#include "native/native_engine.h"
#include "support/arch_model.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

const std::vector<TokenId> kIds = {5, 80, 120, 7, 200, 33, 12, 25, 91, 121, 90, 91};

std::vector<float> logits_of(const std::string& path) {
  NativeEngine engine(ModelFile::open(path), nullptr, {}, std::make_shared<ThreadPool>(2));
  engine.reset(static_cast<int>(kIds.size()));
  engine.eval(kIds);
  std::vector<float> out(kIds.size() * static_cast<size_t>(engine.info().n_vocab));
  engine.read_logits(0, static_cast<int>(kIds.size()), out);
  return out;
}

// attn_kv_b as it was before it was taken apart: of each head the rows of attn_k_b turned, then
// those of attn_v_b.
void join(testing::ModelEdit& edit, const std::string& layer) {
  const std::string k_b = layer + "attn_k_b.weight", v_b = layer + "attn_v_b.weight";
  const int64_t plain = edit.shape(k_b)[0], rank = edit.shape(k_b)[1], n_heads = edit.shape(k_b)[2];
  const int64_t value_len = edit.shape(v_b)[1];
  const std::vector<float> k = edit.values(k_b), v = edit.values(v_b);
  std::vector<float> out;
  for (int64_t head = 0; head < n_heads; ++head) {
    for (int64_t i = 0; i < plain; ++i) {
      for (int64_t c = 0; c < rank; ++c) {
        out.push_back(k[static_cast<size_t>((head * rank + c) * plain + i)]);
      }
    }
    const auto first = v.begin() + head * value_len * rank;
    out.insert(out.end(), first, first + value_len * rank);
  }
  edit.replace_f32(k_b, {rank, n_heads * (plain + value_len)}, out);
  edit.rename(k_b, layer + "attn_kv_b.weight");
  edit.remove(v_b);
}

// The same model with attn_kv_b.
void write_plain(const std::string& from, const std::string& path) {
  testing::ModelEdit edit(from);
  const ModelFile& model = edit.original();
  const auto key = [&](const char* name) { return model.architecture() + ".attention." + name; };
  const auto value = [&](const char* name) {
    return static_cast<uint32_t>(*model.get_int(key(name)));
  };
  edit.metadata().set_u32(key("key_length"), value("key_length_mla"));
  edit.metadata().set_u32(key("value_length"), value("value_length_mla"));
  edit.metadata().set_u32(key("head_count_kv"), value("head_count"));
  edit.metadata().remove(key("key_length_mla"));
  edit.metadata().remove(key("value_length_mla"));
  for (const std::string layer : {"blk.0.", "blk.1."}) join(edit, layer);
  edit.write(path);
}

TEST(LatentAttention, BothFormsOfAFileAreOneModel) {
  const testing::TempDir dir;
  for (const char* name : {"deepseek2", "mistral4"}) {
    testing::write_arch_model(dir.file("absorbed.gguf"), *find_arch(name));
    write_plain(dir.file("absorbed.gguf"), dir.file("plain.gguf"));
    const std::vector<float> absorbed = logits_of(dir.file("absorbed.gguf"));
    const std::vector<float> plain = logits_of(dir.file("plain.gguf"));
    ASSERT_EQ(absorbed.size(), plain.size());
    double error = 0, power = 0;
    for (size_t i = 0; i < plain.size(); ++i) {
      error += (double{absorbed[i]} - plain[i]) * (double{absorbed[i]} - plain[i]);
      power += double{plain[i]} * plain[i];
    }
    EXPECT_GT(power, 0);
    EXPECT_GT(error, 0) << "the sums run in another order";
    EXPECT_LT(error / power, 1e-10) << name;
  }
}

TEST(LatentAttention, AnIndexerThinsOutWhatIsLongerThanItLeaves) {
  const testing::TempDir dir;
  testing::write_arch_model(dir.file("m.gguf"), *find_arch("deepseek32"));
  const auto limited = [&](size_t n_seen) {
    testing::ModelEdit edit(dir.file("m.gguf"));
    edit.metadata().set_u32("deepseek32.attention.indexer.top_k", static_cast<uint32_t>(n_seen));
    edit.write(dir.file("limited.gguf"));
    return logits_of(dir.file("limited.gguf"));
  };
  const size_t n = kIds.size();
  const std::vector<float> whole = limited(n), thinned = limited(n - 3);
  EXPECT_EQ(limited(n + 1), whole);
  ASSERT_EQ(thinned.size(), whole.size());
  const auto n_vocab = static_cast<ptrdiff_t>(whole.size() / n);
  for (size_t token = 0; token < n; ++token) {
    const auto at = static_cast<ptrdiff_t>(token) * n_vocab;
    const bool is_alike =
        std::equal(whole.begin() + at, whole.begin() + at + n_vocab, thinned.begin() + at);
    EXPECT_EQ(is_alike, token < n - 3) << token;
  }
}

}  // namespace
}  // namespace crossval
