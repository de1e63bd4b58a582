// Which of the layouts of I2_S the tensors have where sizes leave it open, and tensors (TL1's and
// TL2's too) turned into a layout that has a reader.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "gguf/model_file.h"
#include "gguf/tl_layout.h"

namespace crossval {
namespace {

bool allows(const I2sLayoutInfo& info, const TensorView& tensor) {
  return tensor.shape[0] % info.row_multiple == 0 && tensor.n_rows() % info.rows_multiple == 0;
}

const TensorView* scales_beside(const ModelFile& model, const TensorView& tensor) {
  for (const char* suffix : {".scale", ".scales"}) {
    const TensorView* scales = model.find_tensor(tensor.name + suffix);
    if (scales != nullptr && scales->type == GgmlType::F16 && tensor.n_elements() % 32 == 0 &&
        scales->n_elements() == tensor.n_elements() / 32) {
      return scales;
    }
  }
  return nullptr;
}

[[noreturn]] void not_this_layout(const ModelFile& model, const TensorView& tensor,
                                  const I2sLayoutInfo& info, const std::string& why) {
  bad_input("wrong_layout", fmt::format("it cannot have the I2_S layout {}: {}", info.name, why),
            fmt::format("{}: tensor '{}'", model.path(), printable(tensor.name)),
            "name another --i2s-layout, or leave it to auto");
}

}  // namespace

void ModelFile::settle_i2_s(LayoutBy decided) {
  std::vector<TensorView*> tensors;
  for (TensorView& tensor : tensors_) {
    if (tensor.type == GgmlType::I2_S && tensor.n_elements() > 0) tensors.push_back(&tensor);
  }
  if (tensors.empty()) return;
  I2sDecision decision = {
      tensors[0]->i2_s_layout, decided == LayoutBy::size ? "size" : "assumed", {}};
  if (decided == LayoutBy::flag) {
    decision.how = "flag";
  } else if (decision.layout == I2sLayout::qk256 &&
             std::ranges::all_of(tensors, [&](const TensorView* tensor) {
               return scales_beside(*this, *tensor) != nullptr;
             })) {
    decision.layout = I2sLayout::bitnet32_split;
  } else if (decision.layout == I2sLayout::x86) {
    std::vector<I2sLayout> possible;
    for (const I2sLayoutInfo& info : i2_s_layouts()) {
      if (info.size_class == i2_s_layout_info(I2sLayout::x86).size_class &&
          std::ranges::all_of(tensors, [&](const TensorView* t) { return allows(info, *t); })) {
        possible.push_back(info.layout);
      }
    }
    if (!possible.empty()) {
      decision.layout = possible[0];
      decision.how = possible.size() == 1 && decided == LayoutBy::size ? "shape" : "assumed";
      decision.others.assign(possible.begin() + 1, possible.end());
    }
  }
  const I2sLayoutInfo& info = i2_s_layout_info(decision.layout);
  for (TensorView* tensor : tensors) {
    tensor->i2_s_layout = decision.layout;
    std::vector<std::byte> turned;
    if (decision.layout == I2sLayout::rows4) {
      if (!allows(info, *tensor)) {
        not_this_layout(*this, *tensor, info,
                        fmt::format("its shape is [{}]", fmt::join(tensor->shape, ", ")));
      }
      turned = i2_s_rows4_to_x86(tensor->data, tensor->shape[0], tensor->n_rows());
      tensor->i2_s_layout = I2sLayout::x86;
    } else if (decision.layout == I2sLayout::bitnet32_split) {
      const TensorView* scales = scales_beside(*this, *tensor);
      if (scales == nullptr || !allows(info, *tensor)) {
        not_this_layout(*this, *tensor, info, "there is no F16 tensor of its scales beside it");
      }
      turned = i2_s_join_scales(tensor->data, scales->data);
      tensor->i2_s_layout = I2sLayout::bitnet32;
    } else {
      continue;
    }
    const auto owned = std::make_shared<const std::vector<std::byte>>(std::move(turned));
    tensor->data = *owned;
    mappings_.push_back(owned);
  }
  i2_s_ = std::move(decision);
}

void ModelFile::settle_tl() {
  for (TensorView& tensor : tensors_) {
    if (tensor.type != GgmlType::TL1 && tensor.type != GgmlType::TL2) continue;
    const std::span<const std::byte> codes =
        tensor.data.first(static_cast<size_t>(*tl_code_bytes(tensor.type, tensor.shape)));
    float scale;
    std::memcpy(&scale, codes.data() + codes.size(), sizeof scale);  // place_tensors saw to it
    const auto owned = std::make_shared<const std::vector<std::byte>>(
        tl_to_i2_s(tensor.type, codes, scale, tensor.shape));
    tensor.data = *owned;
    mappings_.push_back(owned);
  }
}

}  // namespace crossval
