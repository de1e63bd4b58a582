// Products with weights as they were before a file's type rounded them.
#include "replay/weight_rounding.h"

#include <gtest/gtest.h>

#include "replay/sample_taps.h"

namespace crossval {
namespace {

using testing::floats;
using testing::random_floats;
using testing::replayed;
using testing::tap_of;

class WeightRounding : public ::testing::Test {
 protected:
  // A product of `used`, over a file that holds `stored` in halves.
  double ratio(const std::vector<float>& used, const std::vector<float>& stored, bool is_before) {
    file_ = testing::halves({n_, n_rows_, 1, 1}, stored);
    WeightSource weights;
    weights.substitute("w", {.name = "w",
                             .type = GgmlType::F16,
                             .shape = {n_, n_rows_},
                             .data = {file_.data.data(), file_.data.size()}});
    weights.set_before_rounding(is_before);
    std::vector<float> y;
    for (int64_t t = 0; t < n_ids_; ++t) {
      for (int64_t r = 0; r < n_rows_; ++r) {
        double sum = 0;
        for (int64_t i = 0; i < n_; ++i) {
          sum +=
              double{used[static_cast<size_t>(r * n_ + i)]} * x_[static_cast<size_t>(t * n_ + i)];
        }
        y.push_back(static_cast<float>(sum));
      }
    }
    TapTensor weight{.name = "w", .ne = {n_, n_rows_, 1, 1}, .is_weight = true};
    return replayed(tap_of("MUL_MAT", floats({n_rows_, n_ids_, 1, 1}, y),
                           {weight, floats({n_, n_ids_, 1, 1}, x_)}),
                    weights)
        .ratio;
  }

  const int64_t n_ = 64, n_rows_ = 16, n_ids_ = 8;
  const std::vector<float> x_ = random_floats(n_ * n_ids_, 3);
  TapTensor file_;
};

TEST_F(WeightRounding, IsAllowedWhereTheEngineReadsTheCheckpoint) {
  const auto weights = random_floats(n_ * n_rows_, 4, 0.1f);
  EXPECT_GT(ratio(weights, weights, false), 3) << "the file's own weights are others";
  EXPECT_LE(ratio(weights, weights, true), 1);
}

TEST_F(WeightRounding, MoreThanThatIsAFault) {
  const auto weights = random_floats(n_ * n_rows_, 4, 0.1f);
  auto other = weights;
  other[5] += 0.01f;
  EXPECT_GT(ratio(other, weights, true), 5);
}

}  // namespace
}  // namespace crossval
