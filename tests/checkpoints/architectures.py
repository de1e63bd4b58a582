"""Tiny models of many architectures, as configurations of transformers: what `make.py` writes.

Each row: the configuration's class, its arguments, and where needed
  tokenizer  "bytes" (BPE over bytes, the default) or "pieces" (SentencePiece),
  config     keys that older checkpoints' config.json has and llama.cpp's converter reads,
  apart      why llama.cpp, and native with it, computes something else than transformers does.
Sizes are such that windows, groups and experts matter in a prompt of two dozen ids.
"""
VOCABULARY = 320
SIGMOID = {"scoring_func": "sigmoid"}


def _decoder(**changes):
    plain = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=3,
                 num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
                 bos_token_id=0, eos_token_id=0, pad_token_id=1, tie_word_embeddings=False)
    return {**plain, **changes}


def _gpt(**changes):
    return {**dict(vocab_size=VOCABULARY, n_embd=64, n_layer=3, n_head=4, n_positions=256,
                   bos_token_id=0, eos_token_id=0), **changes}


def _wide(**changes):
    """Of classes that take no other sizes than these."""
    return {**dict(vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=3,
                   bos_token_id=0, eos_token_id=0), **changes}


def _experts(**changes):
    return _decoder(**{**dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
                       **changes})


def _routed(**changes):
    return _decoder(**{**dict(n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
                              moe_intermediate_size=32, first_k_dense_replace=1), **changes})


def _latent(**changes):
    return _routed(**{**dict(num_key_value_heads=4, kv_lora_rank=32, qk_rope_head_dim=16,
                             qk_nope_head_dim=16, v_head_dim=16), **changes})


_ALTERNATING = dict(sliding_window=8, num_hidden_layers=4)
_GRANITE = dict(embedding_multiplier=12.0, residual_multiplier=0.22, attention_multiplier=0.0625,
                logits_scaling=6.0)
_MAMBA_HEADS = dict(mamba_n_heads=8, mamba_d_head=16, mamba_d_state=16, mamba_n_groups=1)
_FALCON = _wide(num_attention_heads=4, bias=False, alibi=False, parallel_attn=True)
_NEOX = _wide(intermediate_size=96, num_attention_heads=4, max_position_embeddings=256,
              rotary_pct=0.5)
_DELTA = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=16,
              linear_value_head_dim=16, partial_rotary_factor=0.25, head_dim=32)
_YARN = dict(beta_fast=32.0, beta_slow=1.0, factor=32.0, original_max_position_embeddings=4096,
             rope_theta=150000.0, rope_type="yarn")
_GPT_OSS = _decoder(head_dim=16, num_local_experts=4, num_experts_per_tok=2, **_ALTERNATING)
_GELU = "llama.cpp approximates GELU by tanh, the model has the error function"


def _row(kind, arguments, tokenizer="bytes", config=None, apart=""):
    return dict(kind=kind, arguments=arguments, tokenizer=tokenizer, config=config or {},
                apart=apart)


ROWS = {
    "afmoe": _row("Afmoe", _experts(head_dim=16, num_dense_layers=1, mup_enabled=True,
                                    **_ALTERNATING),
                  config=dict(score_func="sigmoid", route_norm=True)),
    "arcee": _row("Arcee", _decoder()),
    "bamba": _row("Bamba", _decoder(attn_layer_indices=[1], **_MAMBA_HEADS),
                  config=dict(attn_rotary_emb=8),
                  apart="the converter permutes whole heads, of which half are rotated"),
    "bloom": _row("Bloom", dict(vocab_size=VOCABULARY, hidden_size=64, n_layer=3, n_head=4,
                                bos_token_id=0, eos_token_id=0)),
    "cohere": _row("Cohere", _decoder(tie_word_embeddings=True, use_qk_norm=True)),
    "cohere2": _row("Cohere2", _decoder(tie_word_embeddings=True, **_ALTERNATING),
                    config=dict(rotary_pct=1.0, rope_theta=10000.0)),
    "dbrx": _row("Dbrx", dict(vocab_size=VOCABULARY, d_model=64, n_heads=4, n_layers=3,
                              max_seq_len=256,
                              attn_config=dict(kv_n_heads=2, clip_qkv=8.0, rope_theta=10000.0),
                              ffn_config=dict(ffn_hidden_size=48, moe_num_experts=4,
                                              moe_top_k=2))),
    "deepseek2": _row("DeepseekV2", _latent(q_lora_rank=None, topk_method="greedy", n_group=1,
                                            topk_group=1)),
    "deepseek3": _row("DeepseekV3", _latent(n_routed_experts=8, q_lora_rank=24, n_group=2,
                                            topk_group=1, routed_scaling_factor=2.5),
                      config=SIGMOID),
    "dots1": _row("Dots1", _routed(head_dim=16, n_group=1, topk_group=1, norm_topk_prob=True),
                  config=SIGMOID),
    "ernie4_5": _row("Ernie4_5", _decoder(head_dim=16), "pieces"),
    "ernie4_5_moe": _row("Ernie4_5_Moe", _decoder(intermediate_size=64, moe_num_experts=4, moe_k=2,
                                                  moe_intermediate_size=32,
                                                  moe_num_shared_experts=1,
                                                  moe_layer_start_index=1), "pieces"),
    "exaone4": _row("Exaone4", _decoder(hidden_size=32, intermediate_size=32, sliding_window=8,
                                        num_hidden_layers=64, sliding_window_pattern=4)),
    "exaone4_full": _row("Exaone4", _decoder(num_hidden_layers=4, sliding_window=None,
                                             layer_types=["full_attention"] * 4)),
    "falcon": _row("Falcon", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
                   apart=_GELU),
    "falcon_tanh": _row("Falcon", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2,
                                   "activation": "gelu_pytorch_tanh"}),
    "falcon_h1": _row("FalconH1", _decoder(head_dim=16, mamba_d_ssm=128, mamba_chunk_size=16,
                                           ssm_multipliers=[1.1, 0.9, 1.2, 0.8, 1.05],
                                           mlp_multipliers=[0.9, 1.1], key_multiplier=0.9,
                                           attention_in_multiplier=0.8, ssm_in_multiplier=1.1,
                                           attention_out_multiplier=0.9, ssm_out_multiplier=0.7,
                                           embedding_multiplier=1.5, lm_head_multiplier=0.5,
                                           **_MAMBA_HEADS)),
    "falcon_mamba": _row("FalconMamba", _wide(state_size=16, mixer_rms_eps=1e-5)),
    "gemma": _row("Gemma", _decoder(head_dim=32, tie_word_embeddings=True), "pieces"),
    "gemma2": _row("Gemma2", _decoder(head_dim=32, tie_word_embeddings=True,
                                      query_pre_attn_scalar=32, **_ALTERNATING), "pieces"),
    "gemma3": _row("Gemma3Text", _decoder(head_dim=32, tie_word_embeddings=True, sliding_window=8,
                                          query_pre_attn_scalar=32, num_hidden_layers=7,
                                          sliding_window_pattern=6), "pieces"),
    "glm4": _row("Glm4", _decoder(head_dim=16, partial_rotary_factor=0.5, attention_bias=True)),
    "glm4_moe": _row("Glm4Moe", _routed(head_dim=16, partial_rotary_factor=0.5, use_qk_norm=True,
                                        attention_bias=True), config=SIGMOID),
    "glm4_moe_lite": _row("Glm4MoeLite", _latent(q_lora_rank=24, n_group=1, topk_group=1,
                                                 rms_norm_eps=1e-6), config=SIGMOID),
    "glm4_moe_lite_eps": _row("Glm4MoeLite", _latent(q_lora_rank=24, n_group=1, topk_group=1,
                                                     rms_norm_eps=1e-5), config=SIGMOID,
                              apart="latent norms have 1e-6 in transformers, the model's eps here"),
    "gpt2": _row("GPT2", _gpt(), config=dict(n_ctx=256)),
    "gpt_bigcode": _row("GPTBigCode", _gpt()),
    "gpt_neox": _row("GPTNeoX", _NEOX, config=dict(rotary_pct=0.5), apart=_GELU),
    "gpt_neox_tanh": _row("GPTNeoX", {**_NEOX, "hidden_act": "gelu_pytorch_tanh"},
                          config=dict(rotary_pct=0.5)),
    "gpt_oss": _row("GptOss", {**_GPT_OSS, "rope_parameters": {**_YARN, "truncate": True}}),
    "gpt_oss_ramp": _row("GptOss", {**_GPT_OSS, "rope_parameters": {**_YARN, "truncate": False}},
                         apart="llama.cpp rounds the ends of YaRN's ramp to whole dimensions"),
    "granite": _row("Granite", _decoder(**_GRANITE)),
    "granite_moe": _row("GraniteMoe", _decoder(num_local_experts=4, num_experts_per_tok=2,
                                               **_GRANITE)),
    "granite_hybrid": _row("GraniteMoeHybrid", _decoder(
        num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=48,
        num_hidden_layers=4, layer_types=["mamba", "attention", "mamba", "mamba"], mamba_expand=2,
        **_MAMBA_HEADS, **_GRANITE), config=dict(layer_types=["mamba", "attention", "mamba",
                                                              "mamba"])),
    "hunyuan": _row("HunYuanDenseV1", _decoder(head_dim=16)),
    "jais2": _row("Jais2", _decoder()),
    "jamba": _row("Jamba", _decoder(num_experts=4, num_experts_per_tok=2, num_hidden_layers=4,
                                    attn_layer_period=4, attn_layer_offset=1,
                                    expert_layer_period=2, expert_layer_offset=1, mamba_d_state=16,
                                    mamba_dt_rank=8, use_mamba_kernels=False), "pieces"),
    "lfm2": _row("Lfm2", _decoder(tie_word_embeddings=True, num_hidden_layers=4,
                                  layer_types=["conv", "conv", "full_attention", "conv"],
                                  block_auto_adjust_ff_dim=False)),
    "lfm2_moe": _row("Lfm2Moe", _experts(tie_word_embeddings=True, num_hidden_layers=4,
                                         layer_types=["conv", "conv", "full_attention", "conv"],
                                         num_dense_layers=1)),
    "llama": _row("Llama", _decoder()),
    "llama_bias": _row("Llama", _decoder(attention_bias=True, tie_word_embeddings=True)),
    "llama3": _row("Llama", _decoder(rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
        high_freq_factor=4.0, original_max_position_embeddings=64))),
    "llama4": _row("Llama4Text", _decoder(head_dim=16, num_local_experts=4, num_experts_per_tok=1,
                                          intermediate_size_mlp=96, interleave_moe_layer_step=1,
                                          num_hidden_layers=4)),
    "mamba": _row("Mamba", _wide(state_size=16)),
    "mamba2": _row("Mamba2", _wide(state_size=16, num_heads=8, head_dim=16, n_groups=2, expand=2,
                                   chunk_size=16)),
    "minimax_m2": _row("MiniMaxM2", _decoder(head_dim=16, num_local_experts=4,
                                             num_experts_per_tok=2),
                       config=dict(rotary_dim=16, **SIGMOID)),
    "mistral": _row("Mistral", _decoder(sliding_window=None)),
    "mixtral": _row("Mixtral", _decoder(num_local_experts=4, num_experts_per_tok=2)),
    "nemotron": _row("Nemotron", _decoder(partial_rotary_factor=0.5), "pieces"),
    "olmo": _row("Olmo", _decoder()),
    "olmo2": _row("Olmo2", _decoder()),
    "olmo3": _row("Olmo3", _decoder(**_ALTERNATING)),
    "olmoe": _row("Olmoe", _experts(num_key_value_heads=4)),
    "phi": _row("Phi", _decoder(num_key_value_heads=4, intermediate_size=256,
                                partial_rotary_factor=0.5)),
    "phi3": _row("Phi3", _decoder(), "pieces"),
    "phi3_long": _row("Phi3", _decoder(
        original_max_position_embeddings=64,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0,
                             long_factor=[1.0 + 0.3 * i for i in range(8)],
                             short_factor=[1.0 + 0.1 * i for i in range(8)])), "pieces"),
    "qwen2": _row("Qwen2", _decoder()),
    "qwen2_moe": _row("Qwen2Moe", _experts(shared_expert_intermediate_size=48)),
    "qwen3": _row("Qwen3", _decoder(head_dim=24)),
    "qwen3_moe": _row("Qwen3Moe", _experts(head_dim=24, norm_topk_prob=True)),
    "qwen3_next": _row("Qwen3Next", _experts(num_hidden_layers=4, full_attention_interval=4,
                                             shared_expert_intermediate_size=32, **_DELTA)),
    "seed_oss": _row("SeedOss", _decoder(head_dim=16, attention_bias=True,
                                         attention_out_bias=False)),
    "smollm3": _row("SmolLM3", _decoder(num_hidden_layers=4)),
    "stablelm": _row("StableLm", _decoder(partial_rotary_factor=0.5, use_qkv_bias=True)),
    "starcoder2": _row("Starcoder2", _decoder(sliding_window=None, tie_word_embeddings=True)),
}
