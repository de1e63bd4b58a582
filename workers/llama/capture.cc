// The scheduler computes node by node as long as every `ask` is answered with yes: at that moment
// all earlier nodes are done and the node's inputs untouched. An operation may write its result
// over an input (ggml-alloc.c: in-place operations), so such inputs are copied before.
#include "capture.h"

#include <cstring>

namespace crossval::llama {
namespace {

// Names that ggml gives to views: "Qcur-0 (reshaped) (permuted)" -> "Qcur-0".
std::string base_name(const ggml_tensor* node) {
  const std::string name = ggml_get_name(node);
  return name.substr(0, name.find(" ("));
}

int layer_of(const std::string& name) {
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos || dash + 1 == name.size() || name.size() - dash > 6) return -1;
  int layer = 0;
  for (size_t i = dash + 1; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9') return -1;
    layer = layer * 10 + (name[i] - '0');
  }
  return layer;
}

// ggml_op_desc, but for GELU: ik_llama.cpp's table of names has GELU and GELU_ERF in each other's
// place, while the enumeration of its header is the one that it computes by.
std::string operation_of(const ggml_tensor* node) {
  const std::string name = ggml_op_desc(node);
  if (node->op != GGML_OP_UNARY) return name;
  if (ggml_get_unary_op(node) == GGML_UNARY_OP_GELU) return "GELU";
  return name == "GELU" ? "GELU_ERF" : name;
}

bool only_a_view(const ggml_tensor* node) {
  switch (node->op) {
    case GGML_OP_NONE:
    case GGML_OP_RESHAPE:
    case GGML_OP_VIEW:
    case GGML_OP_PERMUTE:
    case GGML_OP_TRANSPOSE:
      return true;
    default:
      return false;
  }
}

// A leaf that came with the model: neither an input of the graph nor a part of the KV cache.
bool is_weight(const ggml_tensor* tensor) {
  return tensor->op == GGML_OP_NONE && tensor->view_src == nullptr &&
         (tensor->flags & GGML_TENSOR_FLAG_INPUT) == 0 &&
         std::strncmp(tensor->name, "cache_", 6) != 0;
}

bool overlap(const ggml_tensor* a, const ggml_tensor* b) {
  const auto* a0 = static_cast<const std::byte*>(a->data);
  const auto* b0 = static_cast<const std::byte*>(b->data);
  return a0 != nullptr && b0 != nullptr && a0 < b0 + ggml_nbytes(b) && b0 < a0 + ggml_nbytes(a);
}

size_t packed_bytes(const ggml_tensor* tensor) {
  return ggml_row_size(tensor->type, tensor->ne[0]) *
         static_cast<size_t>(tensor->ne[1] * tensor->ne[2] * tensor->ne[3]);
}

// The values in the order of ne[], whatever the strides.
void pack(const ggml_tensor* tensor, std::vector<std::byte>& out) {
  out.resize(packed_bytes(tensor));
  if (out.empty() || tensor->data == nullptr) return;
  const auto* data = static_cast<const std::byte*>(tensor->data);
  if (ggml_is_contiguous(tensor)) {
    std::memcpy(out.data(), data, out.size());
    return;
  }
  const size_t type_size = ggml_type_size(tensor->type);
  const size_t row_bytes = ggml_row_size(tensor->type, tensor->ne[0]);
  // Rows of blocks are never cut (nb[0] is the block then); plain values may be strided too.
  const bool whole_rows = tensor->nb[0] == type_size;
  std::byte* to = out.data();
  for (int64_t i3 = 0; i3 < tensor->ne[3]; ++i3) {
    for (int64_t i2 = 0; i2 < tensor->ne[2]; ++i2) {
      for (int64_t i1 = 0; i1 < tensor->ne[1]; ++i1) {
        const std::byte* from = data + static_cast<size_t>(i1) * tensor->nb[1] +
                                static_cast<size_t>(i2) * tensor->nb[2] +
                                static_cast<size_t>(i3) * tensor->nb[3];
        if (whole_rows) {
          std::memcpy(to, from, row_bytes);
          to += row_bytes;
          continue;
        }
        for (int64_t i0 = 0; i0 < tensor->ne[0]; ++i0, to += type_size) {
          std::memcpy(to, from + static_cast<size_t>(i0) * tensor->nb[0], type_size);
        }
      }
    }
  }
}

// `packed`: of a copy made before; filled here when the tensor has strides.
CapturedTensor describe(const ggml_tensor* tensor, std::vector<std::byte>& packed) {
  CapturedTensor out;
  out.name = ggml_get_name(tensor);
  out.type = ggml_type_name(tensor->type);
  for (int i = 0; i < 4; ++i) out.ne[i] = tensor->ne[i];
  if (is_weight(tensor)) {
    out.is_weight = true;
    return out;
  }
  if (tensor->data == nullptr || packed_bytes(tensor) == 0) return out;
  if (packed.empty() && !ggml_is_contiguous(tensor)) pack(tensor, packed);
  out.bytes = packed.empty() ? static_cast<const std::byte*>(tensor->data) : packed.data();
  out.n_bytes = packed_bytes(tensor);
  return out;
}

}  // namespace

// Behind views and reshapes stands the node that computed something, or a leaf: an input or a
// cache.
void Capture::find_maker(const ggml_tensor* source, CapturedTensor& out) const {
  const ggml_tensor* node = source;
  while (only_a_view(node) && node->src[0] != nullptr) node = node->src[0];
  const auto found = seen_.find(node);
  if (found == seen_.end()) return;
  out.maker = found->second.name;
  out.maker_occurrence = found->second.occurrence;
  out.is_whole = source->data == node->data && ggml_nbytes(source) == ggml_nbytes(node) &&
                 ggml_is_contiguous(source) && ggml_is_contiguous(node);
}

void Capture::begin(Deliver deliver) {
  deliver_ = std::move(deliver);
  seen_.clear();
  occurrences_.clear();
}

bool Capture::on_node(ggml_tensor* node, bool ask, void* self) {
  auto* capture = static_cast<Capture*>(self);
  if (!capture->deliver_) return !ask;  // not wanted; and never stop what runs
  if (only_a_view(node)) return true;
  ask ? capture->before(node) : capture->after(node);
  return true;
}

void Capture::before(const ggml_tensor* node) {
  packed_.assign(GGML_MAX_SRC + 1, {});
  for (int i = 0; i < GGML_MAX_SRC; ++i) {
    const ggml_tensor* source = node->src[i];
    if (source != nullptr && !is_weight(source) && overlap(source, node)) {
      pack(source, packed_[static_cast<size_t>(i) + 1]);
    }
  }
}

void Capture::after(const ggml_tensor* node) {
  CapturedNode out;
  out.name = base_name(node);
  out.op = operation_of(node);
  out.occurrence = occurrences_[out.name]++;
  out.layer = layer_of(out.name);
  out.params = node->op_params;
  out.n_params = sizeof node->op_params / sizeof node->op_params[0];
  out.tensors.push_back(describe(node, packed_[0]));
  int n_sources = GGML_MAX_SRC;
  while (n_sources > 0 && node->src[n_sources - 1] == nullptr) --n_sources;
  for (int i = 0; i < n_sources; ++i) {
    if (node->src[i] == nullptr) {
      out.tensors.emplace_back();
      out.tensors.back().ne[0] = 0;
    } else {
      out.tensors.push_back(describe(node->src[i], packed_[static_cast<size_t>(i) + 1]));
      find_maker(node->src[i], out.tensors.back());
    }
  }
  seen_[node] = {out.name, out.occurrence};
  deliver_(out);
}

}  // namespace crossval::llama
