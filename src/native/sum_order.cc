#include "native/sum_order.h"

#include <cmath>

namespace crossval {
namespace {

// The finaliser of splitmix64 (Steele, Lea, Flood 2014): all bits of the result depend on all of x.
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

void disturb_sums(uint64_t place, int n, float* row) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += double{row[i]} * double{row[i]};
  const auto step = static_cast<float>(0x1p-23 * std::sqrt(sum / n));
  uint64_t signs = 0;
  for (int i = 0; i < n; ++i) {
    if (i % 64 == 0) signs = mixed(mixed(place) + static_cast<uint64_t>(i));
    row[i] += ((signs >> (i % 64)) & 1) != 0 ? step : -step;
  }
}

}  // namespace crossval
