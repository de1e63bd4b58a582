#include "faults/weight_edits.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "base/half.h"
#include "support/quantize.h"

namespace crossval::testing {
namespace {

using Bytes = std::vector<std::byte>;

// Which bytes of a block hold codes (ggml/src/ggml-common.h); bit 0 of any is a code's lowest bit.
struct CodePlaces {
  GgmlType type;
  int first, n_bytes;
};
constexpr CodePlaces kCodePlaces[] = {{GgmlType::Q4_0, 2, 16},  {GgmlType::Q4_1, 4, 16},
                                      {GgmlType::Q5_0, 6, 16},  {GgmlType::Q5_1, 8, 16},
                                      {GgmlType::Q8_0, 2, 32},  {GgmlType::Q4_K, 16, 128},
                                      {GgmlType::Q6_K, 0, 128}, {GgmlType::TQ2_0, 0, 64}};

const CodePlaces* find_codes(GgmlType type) {
  const auto* it = std::ranges::find(kCodePlaces, type, &CodePlaces::type);
  return it == std::end(kCodePlaces) ? nullptr : it;
}

// The elements of a vector count as its rows.
size_t row_bytes(const ModelEdit& model, const std::string& name) {
  const auto& shape = model.shape(name);
  const std::vector<int64_t> row = {shape.size() == 1 ? 1 : shape[0]};
  return static_cast<size_t>(*tensor_bytes(model.type(name), row));
}

size_t block_bytes(const ModelEdit& model, const std::string& name) {
  return static_cast<size_t>(find_type(model.type(name))->block_bytes);
}

}  // namespace

int64_t n_rows(const ModelEdit& model, const std::string& name) {
  int64_t n = 1;
  const auto& shape = model.shape(name);
  for (size_t i = shape.size() == 1 ? 0 : 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

int64_t n_blocks(const ModelEdit& model, const std::string& name) {
  const size_t n_in_row = row_bytes(model, name) / block_bytes(model, name);
  return n_rows(model, name) * static_cast<int64_t>(n_in_row);
}

bool has_simple_blocks(GgmlType type) {
  return type == GgmlType::Q4_0 || type == GgmlType::Q4_1 || type == GgmlType::Q8_0;
}

void shift_scales(ModelEdit& model, const std::string& name) {
  const size_t size = block_bytes(model, name);
  const auto n = static_cast<size_t>(find_codes(model.type(name))->first);
  model.edit_bytes(name, [size, n](Bytes& bytes) {
    for (size_t at = bytes.size() - size; at >= size; at -= size) {
      std::memcpy(&bytes[at], &bytes[at - size], n);
    }
  });
}

void zero_behind(ModelEdit& model, const std::string& name) {
  const size_t size = block_bytes(model, name);
  model.edit_bytes(name, [size](Bytes& bytes) {
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), std::byte{0});
  });
}

// The last code first: bytes turned round, and the two codes of each where there are two.
void reorder_codes(ModelEdit& model, const std::string& name) {
  const size_t size = block_bytes(model, name);
  const auto first = static_cast<size_t>(find_codes(model.type(name))->first);
  const bool is_nibbles = model.type(name) != GgmlType::Q8_0;
  model.edit_bytes(name, [=](Bytes& bytes) {
    for (size_t at = 0; at < bytes.size(); at += size) {
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at + first);
      const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(at + size);
      std::reverse(begin, end);
      if (!is_nibbles) continue;
      for (auto it = begin; it != end; ++it) *it = (*it << 4) | (*it >> 4);
    }
  });
}

bool has_codes(GgmlType type) { return find_codes(type) != nullptr; }

void permute_rows(ModelEdit& model, const std::string& name, std::vector<int64_t> order) {
  const size_t n = row_bytes(model, name);
  model.edit_bytes(name, [n, order = std::move(order)](Bytes& bytes) {
    const Bytes before = bytes;
    for (size_t row = 0; row < order.size(); ++row) {
      std::memcpy(&bytes[row * n], &before[static_cast<size_t>(order[row]) * n], n);
    }
  });
}

std::vector<int64_t> rope_permutation(int n_heads, int head_dim, bool interleave) {
  std::vector<int64_t> order(static_cast<size_t>(n_heads * head_dim));
  const int half = head_dim / 2;
  for (int head = 0; head < n_heads; ++head) {
    for (int i = 0; i < half; ++i) {
      for (int part = 0; part < 2; ++part) {
        const int apart = head * head_dim + part * half + i,
                  together = head * head_dim + 2 * i + part;
        order[static_cast<size_t>(interleave ? together : apart)] = interleave ? apart : together;
      }
    }
  }
  return order;
}

void swap_heads(ModelEdit& model, const std::string& name, int head_dim, int a, int b) {
  std::vector<int64_t> order(static_cast<size_t>(n_rows(model, name)));
  std::iota(order.begin(), order.end(), 0);
  for (int i = 0; i < head_dim; ++i) {
    std::swap(order[static_cast<size_t>(a * head_dim + i)],
              order[static_cast<size_t>(b * head_dim + i)]);
  }
  permute_rows(model, name, order);
}

void zero_row(ModelEdit& model, const std::string& name, int64_t row) {
  // All bytes 0 is a scale of 0 in every format here.
  const size_t n = row_bytes(model, name);
  model.edit_bytes(
      name, [n, row](Bytes& bytes) { std::memset(&bytes[static_cast<size_t>(row) * n], 0, n); });
}

void transpose(ModelEdit& model, const std::string& name) {
  const auto shape = model.shape(name);
  const auto n = static_cast<size_t>(shape[0]);
  if (shape.size() != 2 || shape[1] != shape[0]) throw std::runtime_error(name + " is not square");
  const std::vector<float> before = model.values(name);
  std::vector<float> after(before.size());
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) after[j * n + i] = before[i * n + j];
  }
  model.replace(name, model.type(name), shape, quantize(model.type(name), after));
}

void add_to_all(ModelEdit& model, const std::string& name, float offset) {
  std::vector<float> values = model.values(name);
  for (float& value : values) value += offset;
  model.replace_f32(name, model.shape(name), values);
}

void negate_weight(ModelEdit& model, const std::string& name, int64_t index) {
  const size_t size = block_bytes(model, name);
  model.edit_bytes(name, [at = static_cast<size_t>(index + 1) * size - 1](Bytes& bytes) {
    bytes[at] ^= std::byte{0x80};
  });
}

void scale_all(ModelEdit& model, const std::string& name, float factor) {
  const GgmlType type = model.type(name);
  if (find_type(type)->block_len == 1) {
    model.scale(name, factor);
    return;
  }
  const auto offsets = scale_offsets(type);
  const size_t size = block_bytes(model, name);
  model.edit_bytes(name, [offsets, size, factor](Bytes& bytes) {
    for (size_t block = 0; block < bytes.size(); block += size) {
      for (const size_t offset : offsets) {
        uint16_t half = 0;
        std::memcpy(&half, &bytes[block + offset], sizeof(half));
        half = f32_to_f16(f16_to_f32(half) * factor);
        std::memcpy(&bytes[block + offset], &half, sizeof(half));
      }
    }
  });
}

void flip_scale_bit(ModelEdit& model, const std::string& name, int64_t block) {
  const size_t at = static_cast<size_t>(block) * block_bytes(model, name) +
                    scale_offsets(model.type(name)).front();
  model.edit_bytes(name, [at](Bytes& bytes) { bytes[at] ^= std::byte{1}; });
}

void change_code(ModelEdit& model, const std::string& name, int64_t block, int64_t which) {
  const GgmlType type = model.type(name);
  const CodePlaces* places = find_codes(type);
  if (places == nullptr) throw std::runtime_error("the codes of this type are not known");
  const size_t at = static_cast<size_t>(block) * block_bytes(model, name) +
                    static_cast<size_t>(places->first + which % places->n_bytes);
  model.edit_bytes(name, [at, is_ternary = type == GgmlType::TQ2_0](Bytes& bytes) {
    // The lowest bit; but 3 is no ternary code, so there 1 and 2 change places.
    const bool is_zero = (bytes[at] & std::byte{3}) == std::byte{0};
    bytes[at] ^= is_ternary && !is_zero ? std::byte{3} : std::byte{1};
  });
}

}  // namespace crossval::testing
