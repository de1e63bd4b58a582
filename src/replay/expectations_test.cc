// Which layers see a window, and whose positions are those of the tokens.
#include "replay/expectations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "gguf/model_file.h"
#include "replay/sample_taps.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::floats;
using testing::integers;
using testing::tap_of;

Expectations expectations_of(const std::string& arch,
                             const std::function<void(GgufWriter&)>& change) {
  const testing::TempDir dir;
  testing::write_tiny_model(dir.file("tiny.gguf"), {.architecture = arch});
  testing::ModelEdit edit(dir.file("tiny.gguf"));
  change(edit.metadata());
  edit.write(dir.file("changed.gguf"));
  return Expectations(ModelFile::open(dir.file("changed.gguf")));
}

// Of four tokens that all see what is before them.
bool wants_window(const Expectations& expectations, int layer) {
  std::vector<float> mask;
  for (int t = 0; t < 4; ++t) {
    for (int key = 0; key < 4; ++key) mask.push_back(key <= t ? 0 : -INFINITY);
  }
  Tap tap = tap_of("SOFT_MAX", floats({4, 4, 1, 1}, std::vector<float>(16, 0.25f)),
                   {floats({4, 4, 1, 1}, mask), floats({4, 4, 1, 1}, mask)});
  tap.layer = layer;
  const Expected expected = expectations.expect(tap, std::vector<TokenId>{1, 2, 3, 4});
  return std::ranges::any_of(expected.faults, [](const ParameterFault& fault) {
    return fault.cause == Cause::sliding_window;
  });
}

TEST(Expectations, TheFileSaysWhichLayersSeeAWindow) {
  const auto layers = [](const std::function<void(GgufWriter&)>& change) {
    const Expectations expectations = expectations_of("gemma3", [&](GgufWriter& metadata) {
      metadata.set_u32("gemma3.attention.sliding_window", 2);
      metadata.set_u32("gemma3.block_count", 7);
      change(metadata);
    });
    std::string seen;
    for (int layer = 0; layer < 7; ++layer) seen += wants_window(expectations, layer) ? 'w' : '-';
    return seen;
  };
  const std::string pattern = "gemma3.attention.sliding_window_pattern";
  EXPECT_EQ(layers([](GgufWriter&) {}), "wwwww-w");
  EXPECT_EQ(layers([&](GgufWriter& m) { m.set_u32(pattern, 3); }), "ww-ww-w");
  EXPECT_EQ(layers([&](GgufWriter& m) { m.set_u32(pattern, 0); }), "wwwwwww");
  EXPECT_EQ(layers([&](GgufWriter& m) {
              m.set_i32_array(pattern, std::vector<int32_t>{0, 1, 0, 1, 1, 0, 0});
            }),
            "-w-ww--");
}

// Llama 4's layers see the chunk of 8192 positions that a token is in, whatever the key's number.
TEST(Expectations, ChunksBeginAtMultiplesOfTheirLength) {
  const Expectations expectations = expectations_of("llama4", [](GgufWriter& metadata) {
    metadata.set_u32("llama4.attention.sliding_window", 8192);
  });
  constexpr int kFirst = 8190, kTokens = 4, kKeys = kFirst + kTokens;
  const auto n_faults = [&](const std::function<int(int)>& first_seen) {
    std::vector<float> mask;
    for (int position = kFirst; position < kKeys; ++position) {
      for (int key = 0; key < kKeys; ++key)
        mask.push_back(key >= first_seen(position) && key <= position ? 0 : -INFINITY);
    }
    Tap tap =
        tap_of("SOFT_MAX", floats({kKeys, kTokens, 1, 1}, std::vector<float>(mask.size(), 0.25f)),
               {floats({kKeys, kTokens, 1, 1}, mask), floats({kKeys, kTokens, 1, 1}, mask)});
    tap.layer = 0;
    tap.first_position = kFirst;
    const Expected expected = expectations.expect(tap, std::vector<TokenId>{1, 2, 3, 4});
    return std::ranges::count_if(expected.faults, [](const ParameterFault& fault) {
      return fault.cause == Cause::sliding_window;
    });
  };
  EXPECT_EQ(n_faults([](int position) { return position / 8192 * 8192; }), 0);
  EXPECT_EQ(n_faults([](int position) { return position - 8191; }), 1);
}

TEST(Expectations, BlocksHavePositionsOfTheirOwn) {
  const Expectations expectations = expectations_of("unheard-of", [](GgufWriter&) {});
  const auto n_faults = [&](const char* name) {
    Tap tap = tap_of("ROPE", floats({2, 1, 1, 1}, {1, 2}),
                     {floats({2, 1, 1, 1}, {1, 2}), integers({1, 1, 1, 1}, {0})});
    tap.sources[1].name = name;
    tap.first_position = 24;
    return expectations.expect(tap, std::vector<TokenId>{5}).faults.size();
  };
  EXPECT_EQ(n_faults("inp_pos"), 1U);
  EXPECT_EQ(n_faults("dsv4_csa_state_write_pos"), 0U);
}

}  // namespace
}  // namespace crossval
