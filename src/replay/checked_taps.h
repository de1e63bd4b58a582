// What a test of an operation asks of its tap: the clean one passes, damage is found, other shapes
// are refused.
#pragma once

#include "replay/sample_taps.h"

namespace crossval::testing {

using Floats = std::vector<float>;

inline Floats uniform(size_t n, unsigned seed, float low, float high) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  Floats values(n);
  for (float& value : values) value = distribution(engine);
  return values;
}

// The clean tap passes under a bound that is no more than 50 times too wide; a value that is
// damaged (a ten-thousandth is missing) does not, wherever it is.
inline void expect_checked(const Tap& tap, const std::vector<size_t>& places,
                           float damage = 0.9999f) {
  const Replayed clean = replayed(tap);
  EXPECT_LT(clean.ratio, 0.9) << tap.op;
  EXPECT_GT(clean.ratio, 0.02) << tap.op;
  for (const size_t place : places) {
    Tap faulty = tap;
    float value = 0;
    std::byte* at = faulty.out.data.own().data() + place * sizeof(float);
    std::memcpy(&value, at, sizeof(value));
    ASSERT_NE(value, 0);
    value *= damage;
    std::memcpy(at, &value, sizeof(value));
    const Replayed found = replayed(faulty);
    EXPECT_GT(found.ratio, 1.5) << tap.op << " at " << place;
    EXPECT_EQ(found.element.index, static_cast<int64_t>(place)) << tap.op;
  }
}

// Sources of other shapes are refused, each on its own.
inline void expect_refused(const Tap& tap) {
  ThreadPool pool(1);
  for (size_t i = 0; i < tap.sources.size(); ++i) {
    for (size_t d = 0; d < 4; ++d) {
      Tap bad = tap;
      bad.sources[i].ne[d] += 2;  // 1 more sequence may go with a mask for each
      const auto n = static_cast<size_t>(bad.sources[i].n_elements());
      bad.sources[i].data = bytes_of(std::vector<float>(n, 0.0f));
      if (bad.sources[i].type == GgmlType::F16) {
        bad.sources[i].data = bytes_of(std::vector<uint16_t>(n, 0));
      }
      EXPECT_EQ(replay(bad, WeightSource(), pool).status, ReplayStatus::bad_shape)
          << tap.op << " source " << i << " dimension " << d;
    }
  }
  Tap bad = tap;
  bad.out.ne = {3, 1, 1, 1};
  bad.out.data = bytes_of(Floats{1, 2, 3});
  EXPECT_EQ(replay(bad, WeightSource(), pool).status, ReplayStatus::bad_shape) << tap.op;
}

}  // namespace crossval::testing
