// How checkpoints of each architecture are stored. Source: llama.cpp conversion/, the file that is
// named for the family.
#include <array>

#include "arch/checkpoint_names.h"

namespace crossval {
namespace {

using Row = CheckpointRow;

// What Falcon-H1 multiplies activations with is folded into the weights (falcon_h1.py).
void scale_falcon_h1(const nlohmann::json& config, Role role, std::vector<CheckpointPart>& parts) {
  const auto number = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && found->is_number() ? found->get<float>() : 1.0f;
  };
  const auto element = [&](const char* key, size_t i) {
    const auto found = config.find(key);
    const bool fits =
        found != config.end() && found->is_array() && i < found->size() && (*found)[i].is_number();
    return fits ? (*found)[i].get<float>() : 1.0f;
  };
  const auto all = [&](float factor) {
    for (CheckpointPart& part : parts) part.factor *= factor;
  };
  const float attention_in = number("attention_in_multiplier");
  switch (role) {
    case Role::ffn_down:
      return all(element("mlp_multipliers", 1));
    case Role::ffn_gate:
      return all(element("mlp_multipliers", 0));
    case Role::attn_k:
      return all(number("key_multiplier") * attention_in);
    case Role::attn_q:
    case Role::attn_v:
      return all(attention_in);
    case Role::attn_output:
      return all(number("attention_out_multiplier"));
    case Role::ssm_out:
      return all(number("ssm_out_multiplier"));
    case Role::output:
      return all(number("lm_head_multiplier"));
    case Role::token_embd:
      return all(number("embedding_multiplier"));
    case Role::ssm_in:
      break;
    default:
      return;
  }
  // z, x, B, C and dt have one each.
  if (parts.size() != 1) return;
  const auto n_inner = static_cast<int64_t>(number("mamba_d_ssm"));
  const auto n_state = static_cast<int64_t>(number("mamba_n_groups") * number("mamba_d_state"));
  const CheckpointPart whole = parts.front();
  const int64_t n_rest = whole.n_rows() - 2 * n_inner - 2 * n_state;
  if (n_inner < 1 || n_state < 1 || n_rest < 1) return;
  parts.clear();
  const std::array<int64_t, 5> n_rows = {n_inner, n_inner, n_state, n_state, n_rest};
  int64_t first = 0;
  for (size_t i = 0; i < n_rows.size(); ++i) {
    CheckpointPart part = whole;
    part.offset = whole.row_begin(first);
    part.rows = {{n_rows[i], whole.n_cols}};
    part.factor = number("ssm_in_multiplier") * element("ssm_multipliers", i);
    parts.push_back(part);
    first += n_rows[i];
  }
}

constexpr Row kRows[] = {
    {.arch = "afmoe"},
    {.arch = "arcee", .rotary_halves = true},
    {.arch = "bloom", .qkv = Row::Qkv::by_head},
    {.arch = "cohere2"},
    {.arch = "command-r"},
    {.arch = "dbrx", .experts = Row::Fused::down_columns},
    {.arch = "deepseek", .rotary_halves = true},
    {.arch = "deepseek2"},
    {.arch = "dots1"},
    {.arch = "ernie4_5"},
    {.arch = "ernie4_5-moe"},
    {.arch = "exaone"},
    {.arch = "exaone4"},
    {.arch = "falcon", .qkv = Row::Qkv::by_group, .context = 2048},
    {.arch = "falcon-h1", .scale = scale_falcon_h1},
    {.arch = "gemma", .norms_plus_one = true},
    {.arch = "gemma2", .norms_plus_one = true},
    {.arch = "gemma3", .norms_plus_one = true},
    {.arch = "glm4"},
    {.arch = "glm4moe"},
    {.arch = "gpt-oss", .experts = Row::Fused::interleaved},
    {.arch = "gpt2", .conv1d = true},
    {.arch = "gptneox", .qkv = Row::Qkv::by_head},
    {.arch = "granite", .rotary_halves = true},
    {.arch = "granitehybrid", .rotary_halves = true, .context = 1 << 20},
    {.arch = "granitemoe", .rotary_halves = true},
    {.arch = "hunyuan-dense"},
    {.arch = "internlm2", .rotary_halves = true, .qkv = Row::Qkv::by_group},
    {.arch = "jais2"},
    {.arch = "jamba"},
    {.arch = "lfm2"},
    {.arch = "lfm2moe", .gating = 2},
    {.arch = "llama", .rotary_halves = true},
    {.arch = "llama4", .experts = Row::Fused::columns},
    {.arch = "mamba", .context = 1 << 20},
    {.arch = "mamba2", .context = 1 << 20},
    {.arch = "minicpm", .rotary_halves = true},
    {.arch = "minimax-m2"},
    {.arch = "mistral3", .rotary_halves = true},
    {.arch = "nemotron", .norms_plus_one = true, .padding_id = 0},
    {.arch = "olmo", .rotary_halves = true},
    {.arch = "olmo2"},
    {.arch = "olmoe"},
    {.arch = "phi2"},
    {.arch = "phi3"},
    {.arch = "phimoe"},
    {.arch = "qwen2"},
    {.arch = "qwen2moe"},
    {.arch = "qwen2vl"},
    {.arch = "qwen3"},
    {.arch = "qwen3moe"},
    {.arch = "qwen3next", .norms_plus_one = true},
    {.arch = "qwen3vl"},
    {.arch = "seed_oss"},
    {.arch = "smollm3", .rotary_halves = true},
    {.arch = "stablelm"},
    {.arch = "starcoder"},
    {.arch = "starcoder2"},
};

}  // namespace

std::span<const CheckpointRow> checkpoint_rows() { return kRows; }

const CheckpointRow* find_checkpoint_row(std::string_view arch) {
  for (const Row& row : kRows) {
    if (row.arch == arch) return &row;
  }
  return nullptr;
}

}  // namespace crossval
