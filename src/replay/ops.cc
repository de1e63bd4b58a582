// The table. Not replayed so far, and listed as such by whoever shows results: convolutions of
// encoders and operations of training.
#include "replay/ops.h"

#include "replay/families.h"

namespace crossval {
namespace {

constexpr ReplayOp kOps[] = {
    {"NONE", nullptr},
    {"RESHAPE", nullptr},
    {"VIEW", nullptr},
    {"PERMUTE", nullptr},
    {"TRANSPOSE", nullptr},
    {"MUL_MAT", replay_mul_mat},
    {"RMS_NORM", replay_rms_norm},
    {"FUSED_RMS_NORM", replay_fused_rms_norm},
    {"NORM", replay_norm},
    {"FUSED_NORM", replay_norm},
    {"L2_NORM", replay_l2_norm},
    {"GROUP_NORM", replay_group_norm},
    {"ROPE", replay_rope},
    {"ROPE_BACK", replay_rope},
    {"SOFT_MAX", replay_soft_max},
    {"FLASH_ATTN_EXT", replay_flash_attn},
    {"ADD", replay_add},
    {"SUB", replay_sub},
    {"MUL", replay_mul},
    {"DIV", replay_div},
    {"SCALE", replay_scale},
    {"CLAMP", replay_clamp},
    {"FILL", replay_fill},
    {"ARANGE", replay_arange},
    {"GET_ROWS", replay_get_rows},
    {"SET_ROWS", replay_set_rows},
    {"CPY", replay_copy},
    {"CONT", replay_copy},
    {"DUP", replay_copy},
    {"CONCAT", replay_concat},
    {"REPEAT", replay_repeat},
    {"PAD", replay_pad},
    {"SET", replay_set},
    {"MUL_MAT_ID", replay_mul_mat_id},
    {"ADD_ID", replay_add_id},
    {"ARGSORT", replay_argsort},
    {"TOP_K", replay_top_k},
    {"ARGMAX", replay_argmax},
    {"SUM_ROWS", replay_sum_rows},
    {"MEAN", replay_mean},
    {"SSM_CONV", replay_ssm_conv},
    {"SSM_SCAN", replay_ssm_scan},
    {"RWKV_WKV6", replay_rwkv_wkv6},
    {"RWKV_WKV7", replay_rwkv_wkv7},
    {"GATED_LINEAR_ATTN", replay_gated_linear_attn},
    {"GATED_DELTA_NET", replay_gated_delta_net},
    {"DSV4_HC_COMB", replay_dsv4_hc_comb},
    {"DSV4_HC_PRE", replay_dsv4_hc_pre},
    {"DSV4_HC_POST", replay_dsv4_hc_post},
    {"LIGHTNING_INDEXER", replay_lightning_indexer},
    {"CUMSUM", replay_cumsum},
    {"TRI", replay_tri},
    {"SOLVE_TRI", replay_solve_tri},
    {"POOL_1D", replay_pool_1d},
    {"POOL_2D", replay_pool_2d},
    {"ABS", replay_unary},
    {"SGN", replay_unary},
    {"NEG", replay_unary},
    {"STEP", replay_unary},
    {"TANH", replay_unary},
    {"ELU", replay_unary},
    {"RELU", replay_unary},
    {"RELU_SQUARED", replay_unary},
    {"SIGMOID", replay_unary},
    {"GELU", replay_unary},
    {"GELU_QUICK", replay_unary},
    {"GELU_ERF", replay_unary},
    {"SILU", replay_unary},
    {"HARDSWISH", replay_unary},
    {"HARDSIGMOID", replay_unary},
    {"EXP", replay_unary},
    {"EXPM1", replay_unary},
    {"SOFTPLUS", replay_unary},
    {"SQR", replay_unary},
    {"SQRT", replay_unary},
    {"LOG", replay_unary},
    {"SIN", replay_unary},
    {"COS", replay_unary},
    {"LEAKY_RELU", replay_unary},
    {"XIELU", replay_unary},
    {"ROUND", replay_unary},
    {"FLOOR", replay_unary},
    {"CEIL", replay_unary},
    {"TRUNC", replay_unary},
    {"SWIGLU", replay_glu},
    {"GEGLU", replay_glu},
    {"GEGLU_ERF", replay_glu},
    {"GEGLU_QUICK", replay_glu},
    {"REGLU", replay_glu},
    {"RELU_SQUARED_GLU", replay_glu},
    {"SWIGLU_OAI", replay_glu},
    {"SWIGLU_CLAMP", replay_glu},
    {"FUSED_MUL_UNARY", replay_glu},
    {"FUSED_UP_GATE", replay_fused_up_gate},
    {"MOE_FUSED_UP_GATE", replay_moe_fused_up_gate},
    {"MUL_MULTI_ADD", replay_mul_multi_add},
};

}  // namespace

std::span<const ReplayOp> all_replay_ops() { return kOps; }

const ReplayOp* find_replay_op(std::string_view name) {
  for (const ReplayOp& op : kOps) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

}  // namespace crossval
