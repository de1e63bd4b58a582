#include "support/random_blocks.h"

#include <cstring>
#include <random>

namespace crossval::testing {
namespace {

// Where a block's f16 scales lie (ggml-common.h `block_*`, llama.cpp).
std::vector<size_t> places_of_scales(GgmlType type) {
  switch (type) {
    case GgmlType::Q2_K:
      return {80, 82};
    case GgmlType::Q3_K:
      return {108};
    case GgmlType::Q4_K:
    case GgmlType::Q5_K:
      return {0, 2};
    case GgmlType::Q6_K:
      return {208};
    default:
      return {0};
  }
}

}  // namespace

std::vector<std::byte> random_blocks(const TypeInfo& type, int64_t n) {
  std::mt19937 random(7);
  std::vector<std::byte> blocks(static_cast<size_t>(n / type.block_len * type.block_bytes));
  for (auto& b : blocks) b = static_cast<std::byte>(random());
  // 2^-10 as f16; of types whose scales are made of two, 1.33 * 2^-10, whose multiples are rounded.
  const bool is_product = type.type == GgmlType::Q4_K || type.type == GgmlType::Q5_K;
  const uint16_t scale = is_product ? 0x1555 : 0x1400;
  for (size_t at = 0; at < blocks.size(); at += static_cast<size_t>(type.block_bytes)) {
    if (type.type == GgmlType::NVFP4) {
      for (size_t i = 0; i < 4; ++i) blocks[at + i] = static_cast<std::byte>(random() & 15);
    } else if (type.type == GgmlType::IQ1_M) {  // its nibbles lie above four others
      for (const size_t i : {49, 51, 53, 55}) blocks[at + i] &= std::byte{15};
      blocks[at + 53] |= std::byte{0x40};
      blocks[at + 55] |= std::byte{0x10};
    } else {
      for (const size_t place : places_of_scales(type.type)) {
        std::memcpy(&blocks[at + place], &scale, sizeof scale);
      }
    }
  }
  return blocks;
}

}  // namespace crossval::testing
