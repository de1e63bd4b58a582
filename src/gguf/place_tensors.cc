#include "gguf/place_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/printable.h"
#include "gguf/tl_layout.h"

namespace crossval {
namespace {

class Placing {
 public:
  Placing(GgufPart& part, const std::string& path, std::span<const std::byte> file)
      : part_(part), path_(path), file_(file) {}

  void place(const std::vector<uint64_t>& offsets, std::optional<I2sLayout> forced) {
    for (size_t i = 0; i < offsets.size(); ++i) find_begin(part_.tensors[i], offsets[i]);
    tell_tl2();
    const std::optional<I2sLayout> by_size = layout_by_size();
    part_.i2_s_by_size = by_size.has_value();
    const I2sLayout layout = forced ? *forced : by_size.value_or(I2sLayout::x86);
    for (size_t i = 0; i < offsets.size(); ++i) {
      part_.tensors[i].i2_s_layout = layout;
      find_bytes(part_.tensors[i], offsets[i]);
    }
    check_overlaps();
  }

 private:
  [[noreturn]] void fail(const char* code, std::string what, const TensorView& tensor,
                         const char* fix) const {
    bad_input(code, std::move(what), fmt::format("{}: tensor '{}'", path_, printable(tensor.name)),
              fix);
  }

  static constexpr const char* kDownloadAgain =
      "the file is damaged or incomplete: download it again and compare its size and sha256 with "
      "the publisher's";
  static constexpr const char* kConvertAgain = "convert the model again with a current converter";

  void find_begin(TensorView& tensor, uint64_t offset) const {
    if (!tensor_bytes(tensor.type, tensor.shape)) {
      fail("damaged_file",
           fmt::format("its shape [{}] is too large to exist", shape_text(tensor.shape)), tensor,
           kDownloadAgain);
    }
    if (offset % part_.alignment != 0) {
      fail("damaged_file",
           fmt::format("its offset {} is not a multiple of the alignment {}", offset,
                       part_.alignment),
           tensor, kConvertAgain);
    }
    tensor.file_offset = checked_add(part_.data_offset, offset).value_or(UINT64_MAX);
  }

  // Those of a type and the bytes from their begin to whatever comes next; none where one begins
  // behind the end of the file. Nothing but their begin is known yet.
  std::vector<I2sRoom> rooms_of(GgmlType type) const {
    std::vector<uint64_t> begins = {file_.size()};
    for (const TensorView& tensor : part_.tensors) begins.push_back(tensor.file_offset);
    std::ranges::sort(begins);
    std::vector<I2sRoom> rooms;
    for (const TensorView& tensor : part_.tensors) {
      if (tensor.type != type || tensor.n_elements() == 0) continue;
      if (tensor.file_offset >= file_.size()) return {};
      const uint64_t next = *std::ranges::upper_bound(begins, tensor.file_offset);
      rooms.push_back({tensor.shape, next - tensor.file_offset});
    }
    return rooms;
  }

  std::optional<I2sLayout> layout_by_size() const {
    return i2_s_layout_by_size(rooms_of(GgmlType::I2_S), part_.alignment);
  }

  // TL2 and MXFP4 have one id. MXFP4 takes more than twice as much: where every one of them has
  // room for TL2 and no more, that is what they are.
  void tell_tl2() {
    const std::vector<I2sRoom> rooms = rooms_of(GgmlType::MXFP4);
    const auto is_tl2 = [&](const I2sRoom& room) {
      const auto bytes = tl_code_bytes(GgmlType::TL2, room.shape);
      return bytes && room.n_bytes >= static_cast<uint64_t>(*bytes) &&
             room.n_bytes < static_cast<uint64_t>(*bytes + kTlScaleBytes) + part_.alignment;
    };
    if (rooms.empty() || !std::ranges::all_of(rooms, is_tl2)) return;
    for (TensorView& tensor : part_.tensors) {
      if (tensor.type == GgmlType::MXFP4) tensor.type = GgmlType::TL2;
    }
  }

  int64_t bytes_of(const TensorView& tensor) const {
    if (tensor.type == GgmlType::I2_S && tensor.n_elements() > 0) {
      return i2_s_bytes(tensor.i2_s_layout, tensor.shape);
    }
    if (is_tl(tensor)) {
      const auto codes = tl_code_bytes(tensor.type, tensor.shape);
      if (codes) return *codes + static_cast<int64_t>(sizeof(float));  // and its scale
      fail("unsupported_type",
           fmt::format("{} weights of shape [{}] lie in tiles that bitnet.cpp does not publish",
                       type_name(tensor.type), shape_text(tensor.shape)),
           tensor, "convert the model to I2_S");
    }
    return *tensor_bytes(tensor.type, tensor.shape);
  }

  static bool is_tl(const TensorView& tensor) {
    return tensor.type == GgmlType::TL1 || tensor.type == GgmlType::TL2;
  }

  void find_bytes(TensorView& tensor, uint64_t offset) const {
    const auto bytes = static_cast<uint64_t>(bytes_of(tensor));
    const auto end = checked_add(tensor.file_offset, bytes);
    if (!end || *end > file_.size()) {
      fail("truncated_file",
           fmt::format("the file ends at byte {} but the tensor ({} [{}]) needs {} bytes from "
                       "offset {} of the data section, which begins at byte {}",
                       file_.size(), type_name(tensor.type), shape_text(tensor.shape), bytes,
                       offset, part_.data_offset),
           tensor, kDownloadAgain);
    }
    tensor.data = file_.subspan(tensor.file_offset, bytes);
  }

  void check_overlaps() const {
    std::vector<const TensorView*> order;
    for (const TensorView& tensor : part_.tensors) {
      if (!tensor.data.empty()) order.push_back(&tensor);
    }
    std::ranges::sort(order, {}, &TensorView::file_offset);
    for (size_t i = 1; i < order.size(); ++i) {
      const TensorView &before = *order[i - 1], &after = *order[i];
      if (is_tl(before) && after.name == before.name + "_scale") continue;  // which is in both
      if (before.file_offset + before.data.size() > after.file_offset) {
        fail("damaged_file",
             fmt::format("it overlaps tensor '{}' (bytes {} to {}, the other begins at {})",
                         printable(before.name), before.file_offset,
                         before.file_offset + before.data.size(), after.file_offset),
             after, kConvertAgain);
      }
    }
  }

  GgufPart& part_;
  const std::string& path_;
  std::span<const std::byte> file_;
};

}  // namespace

void place_tensors(GgufPart& part, const std::vector<uint64_t>& offsets, const std::string& path,
                   std::span<const std::byte> file, std::optional<I2sLayout> forced) {
  Placing(part, path, file).place(offsets, forced);
}

}  // namespace crossval
