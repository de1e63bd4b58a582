// Random numbers for test data: splitmix64 and Box-Muller, the same with every standard library.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace crossval::testing {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  float normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return static_cast<float>(radius * std::cos(2.0 * std::numbers::pi * uniform()));
  }
  // 0 to n - 1.
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }

 private:
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double uniform() {  // (0, 1]
    return (static_cast<double>(next() >> 11) + 1.0) * 0x1p-53;
  }
  uint64_t state_;
};

}  // namespace crossval::testing
