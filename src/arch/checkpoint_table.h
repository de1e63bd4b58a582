// Names in Hugging Face checkpoints by role: the table, and how a name is put together.
#pragma once

#include <span>
#include <string_view>

#include "arch/role.h"

namespace crossval {

// How what a name stands for is laid out, seen from the role. fused_q, _k, _v: rows of a matrix of
// queries, keys and values; gate_half, up_half: of one of gate and up.
enum class NameLayout {
  plain,
  query,  // whose rows may have been reordered (CheckpointRow::rotary_halves)
  key,
  qkv,  // CheckpointRow::Qkv
  fused_q,
  fused_k,
  fused_v,
  gate_half,
  up_half,
  gate_turn,  // rows of gate and up take turns
  up_turn,
  down,  // by columns where CheckpointRow::Fused says so
  latent_keys,
  latent_values,
  delta_qkv,
  delta_gate,
};

// Behind the name stands ".weight" or ".bias"; or nothing, where it is the one of them alone.
enum class NameEnd { usual, bare_weight, bare_bias };

struct CheckpointName {
  Role role;
  // Behind the layer's prefix, or the whole name outside the layers. '*' is the expert's number.
  std::string_view name;
  NameLayout layout = NameLayout::plain;
  NameEnd end = NameEnd::usual;
};

// In the order in which they are tried.
std::span<const CheckpointName> checkpoint_names();

// What stands before the number of a layer: "model.layers.".
std::span<const std::string_view> checkpoint_prefixes();

}  // namespace crossval
