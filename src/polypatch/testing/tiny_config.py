"""A small configuration of any sequence classifier or language model that transformers knows.

Sizes have usual names, and each name one small size; they fit together in nearly all models. Where they do not, the few
that have to be others are in `AGREEING`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import transformers
from torch import nn
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from polypatch.sites.network.model_kind import AUTO_CLASSES, ModelKind

WIDTH = 32

_NAMES: dict[int, str] = {
    WIDTH: "hidden_size d_model n_embd dim emb_dim embedding_size pooler_hidden_size entity_emb_size d_latents "
    "input_embedding_size word_embed_proj_dim prediction_head_size pronunciation_embed_dim shape_embed_dim "
    "index_n_heads",  # of few heads the scores, none below 0, are often 0 together, and keys are then chosen by chance
    2 * WIDTH: "intermediate_size encoder_ffn_dim decoder_ffn_dim d_ff dff d_inner hidden_dim ffn_dim ffn_hidden_size "
    "feed_forward_size moe_intermediate_size shared_expert_intermediate_size attention_hidden_size",
    2: "num_hidden_layers n_layer n_layers num_layers num_decoder_layers encoder_layers decoder_layers moe_topk "
    "num_experts_per_tok num_feedforward_networks num_self_attends_per_block num_key_value_heads num_kv_heads "
    "adapter_reduction_factor",
    4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_experts "
    "num_self_attention_heads num_cross_attention_heads num_local_experts n_routed_experts index_topk "
    "mamba_d_conv mamba_d_state mamba_dt_rank rotary_dim channel_shrink_ratio attn_layer_period",
    1: "n_group topk_group n_shared_experts",
    8: "head_dim d_kv d_head qk_rope_head_dim qk_nope_head_dim v_head_dim index_head_dim attention_head_size "
    "kv_channels linear_key_head_dim linear_value_head_dim num_latents",
    16: "kv_lora_rank q_lora_rank block_size coordinate_size shape_size adapter_rank true_hidden_size attention_window "
    "intra_bottleneck_size sliding_window local_attention local_transformer_stride attention_head_dim",
    128: "entity_vocab_size pronunciation_vocab_size shape_vocab_size max_position_embeddings n_positions max_seq_len",
}
SIZES = {name: size for size, names in _NAMES.items() for name in names.split()}

UNSTATED = {"head_dim", "num_key_value_heads"}
"""Worked out by some models from sizes as they usually are, where the configuration says nothing."""

_MIXED = {"layer_types": ["linear_attention", "full_attention"]}
_HYBRID = {
    "num_hidden_layers": 4,
    "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
    "attention_head_dim": 16,
}
_ROPE = {"rope_type": "default", "rope_theta": 1e4}

AGREEING: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {**_MIXED, "num_expert_group": 1, "num_experts": 4, "num_experts_per_token": 2},
    "bamba": {"mamba_n_heads": 4, "mamba_d_head": 16, "attn_layer_indices": [1]},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "blt_local_decoder": {"hidden_size_global": WIDTH},
    "blt_local_encoder": {"hidden_size_global": WIDTH},
    "cohere_compass_text": {
        "layer_types": ["full_attention"] * 2,
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE},
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2},
    "encoder-decoder": {"decoder": {"is_decoder": True, "add_cross_attention": True}},
    "esmc": {"num_key_value_heads": 4},
    "gemma3n_text": {"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8},
    "gemma4_text": {"hidden_size_per_layer_input": 8, "global_head_dim": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"mamba_n_heads": 4, "mamba_d_head": 16, "layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "layoutlmv3": {"coordinate_size": 5, "shape_size": 6, "visual_embed": False},
    "kimi_linear": {
        **_MIXED,
        "num_experts": 4,
        "num_experts_per_token": 2,
        "linear_head_dim": 8,
        "linear_num_heads": 4,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lfm3": {"layer_types": ["conv", "full_attention"]},
    "lilt": {"hidden_size": 48},
    "llama4_text": {"intermediate_size_mlp": 2 * WIDTH},
    "longcat_flash": {"zero_expert_num": 4, "expert_ffn_hidden_size": 2 * WIDTH, "qk_head_dim": 16, "head_dim": 8},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1},
    "qwen3_5_moe_text": _MIXED,
    "qwen3_5_text": _MIXED,
    "qwen3_next": _MIXED,
    "recurrent_gemma": {"block_types": ["recurrent", "attention"], "lru_width": 32},
    "reformer": {"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16]},
    "vibevoice_acoustic_tokenizer_encoder": {"num_filters": 1, "depths": [1] * 7},
    "xlstm": {"qk_dim_factor": 2.0, "v_dim_factor": 2.0},  # its cache is of multiples of 64, and its layers as told
    "xmod": {"default_language": "en_XX"},
    "zamba": _HYBRID,
    "zamba2": {**_HYBRID, "mamba_headdim": 16, "n_mamba_heads": 4, "num_mem_blocks": 1},
    "zaya": {"num_experts_per_tok": 1},
}
"""What else a model type needs for its sizes to fit together."""


def model_types(head: str = "classifier") -> dict[str, type[PreTrainedConfig]]:
    """Every model type that transformers has this head for, and the class of its configuration.

    Args:
        head: ``"classifier"``, ``"causal"``, ``"seq2seq"`` or ``"masked"``.
    """
    return {kind.model_type: kind for kind in _classes(head)}


def model_class(model_type: str, head: str) -> type[nn.Module]:
    """The class of a model of this type with this head; the first where there are several."""
    found: Any = _classes(head)[model_types(head)[model_type]]
    first: type[nn.Module] = found[0] if isinstance(found, tuple) else found
    return first


def _classes(head: str) -> Any:
    """Transformers' table of a head: configuration class -> model class."""
    return getattr(transformers, AUTO_CLASSES[ModelKind(head)])._model_mapping


def tiny_config(
    model_type: str, tokenizer: PreTrainedTokenizerBase | None = None, head: str = "classifier"
) -> PreTrainedConfig:
    """A small configuration; of a sequence classifier, one of three classes.

    Args:
        model_type: transformers' name for it.
        tokenizer: whose vocabulary and special tokens it is to have; without one, `MARKS`.
        head: ``"classifier"``, ``"causal"``, ``"seq2seq"`` or ``"masked"``.

    Raises:
        KeyError: transformers has no such head for this type.
    """
    kind = model_types(head)[model_type]
    usual = kind()
    entries = _entries(usual, MARKS if tokenizer is None else marks_of(tokenizer))
    begins, ends = (getattr(usual, f"{name}_token_id", None) for name in ("decoder_start", "eos"))
    if ModelKind(head) is ModelKind.SEQ2SEQ and begins is not None and begins == ends:  # and not with the padding
        entries["decoder_start_token_id"] = entries["eos_token_id"]
    config: PreTrainedConfig = kind(**{**entries, **head_entries(usual, head)})
    text = config.sub_configs.get("text_config")
    # As `from_config` does: a model of text alone has the part of the configuration that is about text.
    own = getattr(model_class(model_type, head), "config_class", None)
    alone = ModelKind(head).writes and text is not None and own is text
    return config.get_text_config() if alone else config


def head_entries(config: PreTrainedConfig, head: str) -> dict[str, Any]:
    """What a configuration says of the head: three classes; or that each position reads those before it alone."""
    kind = ModelKind(head)
    if kind is ModelKind.CLASSIFIER:
        return {"num_labels": 3}
    said: dict[str, Any] = {"forced_eos_token_id": None}
    if kind is ModelKind.CAUSAL:
        said |= dict.fromkeys(_DECODING, True)
    return {name: value for name, value in said.items() if hasattr(config, name)}


_DECODING = ("is_decoder", "causal")


_VOCABULARIES = ("vocab_size", "vocab_size_per_layer_input", "src_vocab_size", "tgt_vocab_size")


class Marks(NamedTuple):
    """The size of a vocabulary, and the special tokens in it."""

    size: int
    pad: int
    first: int
    last: int
    mask: int

    def entries(self) -> dict[str, int]:
        """By the names of a configuration's entries."""
        first, last = ("bos_token_id", "cls_token_id"), ("eos_token_id", "sep_token_id", "forced_eos_token_id")
        return {
            **dict.fromkeys(_VOCABULARIES, self.size),
            "pad_token_id": self.pad,
            "decoder_start_token_id": self.pad,
            "mask_token_id": self.mask,
            "eod_token_id": self.last,
            **dict.fromkeys(first, self.first),
            **dict.fromkeys(last, self.last),
        }


MARKS = Marks(128, 0, 1, 2, 3)


def marks_of(tokenizer: PreTrainedTokenizerBase) -> Marks:
    """Those of a tokenizer."""
    pad, first, last, mask = (getattr(tokenizer, f"{name}_token_id") for name in ("pad", "cls", "sep", "mask"))
    return Marks(len(tokenizer), pad, first, last, mask)


def _entries(usual: PreTrainedConfig, marks: Marks) -> dict[str, Any]:
    """What has to be said to make a configuration small; those within it as well."""
    said = usual.to_dict()
    names = set(said)
    stated = {name for name in names & set(SIZES) if said[name] is not None}
    entries: dict[str, Any] = {name: SIZES[name] for name in stated | (names & UNSTATED)}
    if "kv_lora_rank" in names:  # latent attention: its heads are of parts, and not shared
        entries["num_key_value_heads"] = 4
        entries.pop("head_dim", None)
    for name in names:
        inner = vars(usual).get(name)
        if isinstance(inner, PreTrainedConfig):
            entries[name] = _entries(inner, marks)
    known = {name: number for name, number in marks.entries().items() if name not in _VOCABULARIES or name in names}
    own = AGREEING.get(usual.model_type, {})
    within = {name: {**entries[name], **value} for name, value in own.items() if isinstance(entries.get(name), dict)}
    return {**entries, **known, **own, **within}
