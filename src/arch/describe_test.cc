#include "arch/describe.h"

#include <gtest/gtest.h>

#include "arch/archs.h"
#include "gguf/model_file.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

TEST(DescribeLayers, LayersOfOneKindShareALine) {
  const testing::TempDir dir;
  GgufWriter out;
  out.set_string("general.architecture", "gemma3");
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, uint32_t>>{{"block_count", 7},
                                                               {"context_length", 64},
                                                               {"embedding_length", 32},
                                                               {"feed_forward_length", 48},
                                                               {"attention.head_count", 4},
                                                               {"attention.head_count_kv", 1},
                                                               {"attention.sliding_window", 512}}) {
    out.set_u32(std::string("gemma3.") + key, value);
  }
  out.set_f32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
  out.write(dir.file("m.gguf"));
  const auto model = ModelFile::open(dir.file("m.gguf"));
  const Arch& arch = *find_arch("gemma3");
  EXPECT_EQ(
      describe_layers(arch, read_config(*model, arch)),
      (std::vector<std::string>{
          "0-4, 6: attention 4:1, q/k norm, rope, window 512; gated feed-forward gelu, 48 wide",
          "5: attention 4:1, q/k norm, rope; gated feed-forward gelu, 48 wide"}));
}

}  // namespace
}  // namespace crossval
