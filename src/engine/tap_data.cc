// Bytes of a tensor as floats.
#include <cassert>
#include <cstdint>

#include "base/half.h"
#include "engine/tap.h"

namespace crossval {

TapData::TapData(std::vector<std::byte> bytes)
    : shared_(std::make_shared<Shared>(Shared{std::move(bytes), {}})) {}

std::vector<std::byte>& TapData::own() {
  if (!shared_) {
    shared_ = std::make_shared<Shared>();
  } else if (shared_.use_count() > 1) {
    shared_ = std::make_shared<Shared>(Shared{shared_->bytes, {}});
  }
  shared_->floats.clear();
  return shared_->bytes;
}

std::span<const float> TapData::floats(GgmlType type) const {
  if (empty()) return {};
  const std::vector<std::byte>& bytes = shared_->bytes;
  if (type == GgmlType::F32) {
    assert(reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) == 0);  // of operator new
    return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
  }
  if (type != GgmlType::F16 && type != GgmlType::BF16) return {};
  std::vector<float>& floats = shared_->floats;
  if (floats.empty()) {
    floats.resize(bytes.size() / sizeof(uint16_t));
    const auto n = static_cast<int64_t>(floats.size());
    type == GgmlType::F16 ? f16_to_f32_row(bytes.data(), n, floats.data())
                          : bf16_to_f32_row(bytes.data(), n, floats.data());
  }
  return floats;
}

std::span<const float> TapTensor::floats() const {
  const std::span<const float> values = data.floats(type);
  return static_cast<int64_t>(values.size()) == n_elements() ? values : std::span<const float>();
}

}  // namespace crossval
