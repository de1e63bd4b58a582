#include "native/kv_rounding.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/half.h"
#include "quant/round_q8_0.h"

namespace crossval {
namespace {

constexpr struct {
  KvType type;
  const char* name;
} kTypes[] = {{KvType::f32, "f32"}, {KvType::f16, "f16"}, {KvType::q8_0, "q8_0"}};

}  // namespace

const char* kv_type_name(KvType type) {
  for (const auto& row : kTypes) {
    if (row.type == type) return row.name;
  }
  return "f32";
}

std::optional<KvType> find_kv_type(std::string_view name) {
  for (const auto& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

void round_to_kv_type(KvType type, float* row, int n) {
  constexpr int q8_0_block = 32;
  switch (type) {
    case KvType::f32:
      return;
    case KvType::f16:
      for (int i = 0; i < n; ++i) row[i] = f16_to_f32(f32_to_f16(row[i]));
      return;
    case KvType::q8_0:
      if (n % q8_0_block != 0) return;
      for (int i = 0; i < n; i += q8_0_block)
        round_through_q8_0(row + i, q8_0_block, Q8Rounding::simd, row + i);
      return;
  }
}

}  // namespace crossval
