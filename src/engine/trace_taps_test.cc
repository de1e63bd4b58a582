#include "engine/trace_taps.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "support/safetensors.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

Tap make_tap(const std::string& name, int occurrence, std::array<int64_t, 4> ne) {
  Tap tap;
  tap.name = name;
  tap.occurrence = occurrence;
  tap.op = occurrence == 0 ? "MUL_MAT" : "ROPE";
  tap.out.ne = ne;
  std::vector<float> values(static_cast<size_t>(tap.out.n_elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  tap.out.data.own().resize(values.size() * sizeof(float));
  std::memcpy(tap.out.data.own().data(), values.data(), tap.out.data.size());
  return tap;
}

TEST(TraceTaps, ComeBackInOrderWithTheirOperations) {
  const testing::TempDir folder;
  {
    TraceWriter out(folder.file("t"), {}, 2, kMaxSavedTaps);
    EXPECT_TRUE(write_tap(out, make_tap("Qcur-3", 0, {8, 2, 1, 1}), 2));
    EXPECT_TRUE(write_tap(out, make_tap("Qcur-3", 1, {4, 2, 2, 1}), 2));
    EXPECT_TRUE(write_tap(out, make_tap("embd", 0, {4, 2, 1, 1}), 2));
    Tap indices = make_tap("inp_out_ids", 0, {2, 1, 1, 1});
    indices.out.type = GgmlType::I32;
    EXPECT_FALSE(write_tap(out, indices, 2));
    out.write_row(7, std::vector<float>{1, 2});  // rows after the taps of their eval ...
    out.write_row(8, std::vector<float>{3, 4});
    out.write_capture("rounding_noise#0", {2}, std::vector<float>{0, 0});  // ... and before others
    out.finish();
  }
  const auto trace = TraceFile::open(folder.file("t"));
  std::vector<float> row(2);
  trace->read_logits(1, row);
  EXPECT_EQ(row, (std::vector<float>{3, 4}));
  EXPECT_EQ(trace->tokens(), (std::vector<TokenId>{7, 8}));
  std::vector<Tap> taps;
  for (const SavedTap& saved : saved_taps(*trace)) {
    EXPECT_EQ(saved.n_rows, 2);
    taps.push_back(saved.load());
  }
  ASSERT_EQ(taps.size(), 3u);
  EXPECT_EQ(taps[0].name, "Qcur-3");
  EXPECT_EQ(taps[1].occurrence, 1);
  EXPECT_EQ(taps[1].op, "ROPE");
  EXPECT_EQ(taps[1].layer, 3);
  EXPECT_EQ(taps[1].out.ne[0], 8);
  EXPECT_EQ(taps[1].out.data, make_tap("", 0, {8, 2, 1, 1}).out.data);
  EXPECT_EQ(taps[2].layer, -1);
}

// With ids 7 and 8, and logits 1 and 2.
void write_safetensors(const std::string& path, std::vector<testing::StoredTensor> tensors) {
  tensors.push_back({"tokens", "I64", {1, 2}, std::string("\7\0\0\0\0\0\0\0\b\0\0\0\0\0\0\0", 16)});
  tensors.push_back({"logits", "F16", {1, 2, 1}, std::string("\0\x3c\0\x40", 4)});
  testing::write_text(path, testing::safetensors(tensors));
}

TEST(TraceTaps, FromElsewhere) {
  const testing::TempDir folder;
  const std::string halves("\0\x3c\0\x40\0\x42\0\x44", 8);  // 1, 2, 3, 4
  const std::string brains("\x80\x3f\0\x40\x40\x40\x80\x40", 8);
  write_safetensors(folder.file("t"), {{"l_out-1", "F16", {1, 2, 2}, halves},
                                       {"embd", "BF16", {2, 2}, brains},
                                       {"Qcur-0#1", "F16", {1, 2, 1, 2}, halves},
                                       {"weight", "F16", {4}, halves}});
  const auto trace = TraceFile::open(folder.file("t"));
  const std::vector<SavedTap> saved = saved_taps(*trace);
  ASSERT_EQ(saved.size(), 3U);
  for (const SavedTap& one : saved) {
    const Tap tap = one.load();
    EXPECT_EQ(one.n_rows, 2) << one.name;
    EXPECT_EQ(tap.out.ne, (std::array<int64_t, 4>{2, 2, 1, 1})) << one.name;
    const std::span<const float> values = tap.out.floats();
    EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{1, 2, 3, 4}));
  }
  EXPECT_EQ(saved[0].name, "l_out-1");
  EXPECT_EQ(saved[0].load().layer, 1);
  EXPECT_EQ(saved[2].name, "Qcur-0");
  EXPECT_EQ(saved[2].occurrence, 1);

  write_safetensors(folder.file("t"),
                    {{"embd", "F16", {2, 2}, halves}, {"embd#0", "F16", {2, 2}, halves}});
  const auto twice = TraceFile::open(folder.file("t"));
  EXPECT_THROW(saved_taps(*twice), Error);
}

TEST(TraceTaps, MoreThanTheHeaderHasRoomForIsAnErrorNotADamagedFile) {
  const testing::TempDir folder;
  TraceWriter out(folder.file("t"), {}, 2, 1);
  EXPECT_TRUE(write_tap(out, make_tap("a", 0, {1, 2, 1, 1}), 2));
  EXPECT_THROW(write_tap(out, make_tap("b", 0, {1, 2, 1, 1}), 2), Error);
}

}  // namespace
}  // namespace crossval
