// I2_S (type 36) is one id for several layouts of ternary weights, and no file says which it has.
// Where they differ in size, the room between tensors decides; the table below lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace crossval {

enum class I2sLayout : uint8_t { x86, arm, rows4, bitnet32, bitnet32_split, qk256 };

struct I2sLayoutInfo {
  I2sLayout layout;
  std::string_view name;        // as `--i2s-layout` spells it
  std::string_view size_class;  // layouts of one class have tensors of the same size
  std::string_view what;        // one line for people
  int row_multiple;             // a row is a whole number of so many weights
  int rows_multiple;            // a matrix has a whole number of so many rows
};

std::span<const I2sLayoutInfo> i2_s_layouts();
const I2sLayoutInfo& i2_s_layout_info(I2sLayout layout);
const I2sLayoutInfo* find_i2_s_layout(std::string_view name);

// Bytes of a tensor; `shape` as in the file, of a size that tensor_bytes() accepts. INT64_MAX
// where this layout has more than 63 bits count.
int64_t i2_s_bytes(I2sLayout layout, std::span<const int64_t> shape);

// An I2_S tensor and the bytes from its start to whatever comes next.
struct I2sRoom {
  std::span<const int64_t> shape;
  uint64_t n_bytes;
};

// The layout whose size fits every one of these tensors, up to less than `alignment` of padding;
// the first of the table among those of one size. nullopt: none does, or two sizes do.
std::optional<I2sLayout> i2_s_layout_by_size(std::span<const I2sRoom> rooms, uint32_t alignment);

// The same weights in the x86 layout. `data` holds whole tensors of the layout's size.
std::vector<std::byte> i2_s_rows4_to_x86(std::span<const std::byte> data, int64_t row_len,
                                         int64_t n_rows);
// Codes of bitnet32_split and their f16 scales as bitnet32.
std::vector<std::byte> i2_s_join_scales(std::span<const std::byte> codes,
                                        std::span<const std::byte> scales);

}  // namespace crossval
