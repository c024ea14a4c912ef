"""A small configuration of any sequence classifier that transformers knows.

Sizes have usual names, and each name one small size; they fit together in nearly all models. Where they do not, the few
that have to be others are in `AGREEING`.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoModelForSequenceClassification, PreTrainedConfig

WIDTH = 32

_NAMES: dict[int, str] = {
    WIDTH: "hidden_size d_model n_embd dim emb_dim embedding_size pooler_hidden_size entity_emb_size d_latents "
    "input_embedding_size word_embed_proj_dim prediction_head_size pronunciation_embed_dim shape_embed_dim",
    2 * WIDTH: "intermediate_size encoder_ffn_dim decoder_ffn_dim d_ff dff d_inner hidden_dim ffn_dim ffn_hidden_size "
    "feed_forward_size moe_intermediate_size shared_expert_intermediate_size attention_hidden_size",
    2: "num_hidden_layers n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers moe_topk "
    "num_experts_per_tok num_feedforward_networks num_self_attends_per_block num_key_value_heads num_kv_heads "
    "adapter_reduction_factor",
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_experts "
    "num_self_attention_heads num_cross_attention_heads num_local_experts n_routed_experts index_n_heads index_topk "
    "mamba_d_conv mamba_d_state mamba_dt_rank rotary_dim channel_shrink_ratio attn_layer_period",
    1: "n_group topk_group n_shared_experts",
    8: "head_dim d_kv d_head qk_rope_head_dim qk_nope_head_dim v_head_dim index_head_dim attention_head_size "
    "kv_channels linear_key_head_dim linear_value_head_dim num_latents",
    16: "kv_lora_rank q_lora_rank block_size coordinate_size shape_size adapter_rank true_hidden_size attention_window "
    "intra_bottleneck_size sliding_window local_attention local_transformer_stride attention_head_dim",
    128: "vocab_size entity_vocab_size pronunciation_vocab_size shape_vocab_size max_position_embeddings n_positions "
    "max_seq_len",
}
SIZES = {name: size for size, names in _NAMES.items() for name in names.split()}

UNSTATED = {"head_dim", "num_key_value_heads"}
"""Worked out by some models from sizes as they usually are, where the configuration says nothing."""

MARKS = {
    "pad_token_id": 0,
    "bos_token_id": 1,
    "cls_token_id": 1,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "mask_token_id": 3,
    "decoder_start_token_id": 0,
    "forced_eos_token_id": 2,
    "eod_token_id": 2,
}
"""Special tokens, by entry of a configuration."""

_MIXED = {"layer_types": ["linear_attention", "full_attention"]}
_HYBRID = {
    "num_hidden_layers": 4,
    "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    "attention_head_dim": 16,
}
_ROPE = {"rope_type": "default", "rope_theta": 1e4}

AGREEING: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {
        "layer_types": ["full_attention"] * 2,
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "esm": {"vocab_size": 128},
    "esmc": {"num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 5, "shape_size": 6, "visual_embed": False},
    "lilt": {"hidden_size": 48},
    "qwen3_5_text": _MIXED,
    "qwen3_next": _MIXED,
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16]},
    "xmod": {"default_language": "en_XX"},
    "zamba": _HYBRID,
    "zamba2": {**_HYBRID, "mamba_headdim": 16, "n_mamba_heads": 4, "num_mem_blocks": 1},
}
"""What else a model type needs for its sizes to fit together."""


def tiny_config(model_type: str, *, classes: int = 3) -> PreTrainedConfig:
    """A small configuration of a sequence classifier, by its model type; sizes and special tokens as listed here.

    Raises:
        KeyError: transformers has no sequence classifier of this type.
    """
    kinds = {kind.model_type: kind for kind in AutoModelForSequenceClassification._model_mapping}
    kind = kinds[model_type]
    return kind(**_entries(kind()), num_labels=classes)


def _entries(usual: PreTrainedConfig) -> dict[str, Any]:
    """What has to be said to make a configuration small; those within it as well."""
    names = set(usual.to_dict())
    stated = {name for name in names & set(SIZES) if getattr(usual, name) is not None}
    entries: dict[str, Any] = {name: SIZES[name] for name in stated | (names & UNSTATED)}
    if "kv_lora_rank" in names:  # latent attention: its heads are of parts, and not shared
        entries["num_key_value_heads"] = 4
        entries.pop("head_dim", None)
    for name in names:
        inner = getattr(usual, name, None)
        if isinstance(inner, PreTrainedConfig):
            entries[name] = _entries(inner)
    return {**entries, **MARKS, **AGREEING.get(usual.model_type, {})}
