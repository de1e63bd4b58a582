#include "engine/top_row.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace crossval {
namespace {

TopRow settled(TopRow row, int n_vocab = 10) {
  settle_top_row(row, n_vocab, "a server", "rows");
  return row;
}

TEST(TopRow, IsPutInOrder) {
  const TopRow row = settled({{3, -3.0F}, {7, -1.5F}, {5, -1.5F}, {0, -1.2F}});
  std::vector<int32_t> ids;
  for (const TopEntry& entry : row) ids.push_back(entry.token);
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 5, 7, 3}));  // equal ones by the lower id
}

TEST(TopRow, WhatNoRowCanBeIsRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  for (const TopRow& bad : {TopRow{}, TopRow{{1, nan}}, TopRow{{1, inf}}, TopRow{{1, -inf}},
                            TopRow{{1, 0.5F}}, TopRow{{10, -1.0F}}, TopRow{{-1, -1.0F}},
                            TopRow{{1, -1.0F}, {1, -2.0F}}, TopRow{{1, -0.3F}, {2, -0.3F}}}) {
    try {
      settled(bad);
      ADD_FAILURE() << "taken: " << bad.size();
    } catch (const Error& error) {
      EXPECT_EQ(error.code, "bad_top_row");
      EXPECT_EQ(error.status, Status::backend_failed);
    }
  }
}

TEST(TopRow, RoundingAndAnUnknownVocabularyAreNoReason) {
  EXPECT_EQ(settled({{1, 0.0001F}}).size(), 1U);
  EXPECT_EQ(settled({{1'000'000, -1.0F}}, 0).size(), 1U);
}

}  // namespace
}  // namespace crossval
