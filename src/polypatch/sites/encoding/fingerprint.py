"""What a model is, for edits, journals and caches: its weights, its configuration, its tokenizer, its longest input.

The same weights under another number of attention heads, or behind another tokenizer, are another model.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from polypatch.sites.encoding.tokens import Tokens
from polypatch.sites.site import FeedForwardSite

ENCODING = 3
"""How texts are encoded, counted up whenever the bits of a query may change: a cache of another number is not read."""

_NAMES = ("architectures", "auto_map", "dtype", "torch_dtype", "transformers_version")
_LABELS = ("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params")
_TRAINING = ("initializer_range", "gradient_checkpointing", "tie_word_embeddings", "use_cache", "torchscript")
_RESULTS = ("output_attentions", "output_hidden_states", "return_dict", "use_return_dict")
_SILENT = {*_NAMES, *_LABELS, *_TRAINING, *_RESULTS}
"""Fields of a configuration that no forward pass of a classifier depends on; of labels something else takes care."""


def model_fingerprint(site: FeedForwardSite) -> str:
    """SHA-256 over every weight and buffer of the model, by sorted name. The same bits give the same fingerprint."""
    return weights_fingerprint(site.model)


def weights_fingerprint(model: nn.Module) -> str:
    """The same of any network."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def configuration(site: FeedForwardSite) -> dict[str, Any]:
    """The fields of the model's configuration that its forward passes depend on, as far as they are not the default.

    So a field that a later version of transformers adds is no difference.
    """
    return configuration_of(site.model)


def configuration_of(model: nn.Module) -> dict[str, Any]:
    """The same of any network of transformers."""
    own: Any = model.config
    usual = type(own)().to_dict()
    fields = {
        name: value
        for name, value in own.to_dict().items()
        if name not in _SILENT and not name.startswith("_") and (name not in usual or usual[name] != value)
    }
    fields["model_type"] = own.model_type
    return dict(json.loads(json.dumps(fields, sort_keys=True, default=str)))


def encoder_fingerprint(site: FeedForwardSite, tokens: Tokens) -> str:
    """Names all that a query depends on beside its row; a folder's name."""
    digest = hashlib.sha256(model_fingerprint(site).encode())
    # Kernels of attention differ in the last bits.
    kernels = getattr(site.model.config, "_attn_implementation", None)
    layer = [site.layer_path] if site.anatomy.top is not None else []
    beside = [site.beside.facts] if site.beside.facts else []
    about = [configuration(site), kernels, tokens.max_length, *layer, *beside]
    digest.update(json.dumps(about, sort_keys=True).encode())
    digest.update(tokenizer_fingerprint(tokens.tokenizer).encode())
    return f"encoding-{ENCODING}-{digest.hexdigest()[:32]}"


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over everything that decides how a text is cut and numbered, but for the length it is cut to."""
    state = {
        "side": tokenizer.truncation_side,
        "inputs": list(tokenizer.model_input_names),
        "pad": tokenizer.pad_token_id,
        "split": bool(getattr(tokenizer, "split_special_tokens", False)),
        "cut": _backend(tokenizer) or _slow(tokenizer),
    }
    return hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()


def _backend(tokenizer: PreTrainedTokenizerBase) -> object:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    # Truncation and padding were left there by whichever call came last; ours sets both itself.
    return _said({**json.loads(backend.to_str()), "truncation": None, "padding": None})


def _said(plain: Any) -> Any:
    """Plain data without what is none or false, which a later version of tokenizers may spell out."""
    if isinstance(plain, dict):
        return {key: _said(value) for key, value in plain.items() if value is not None and value is not False}
    return [_said(item) for item in plain] if isinstance(plain, list) else plain


def _slow(tokenizer: PreTrainedTokenizerBase) -> object:
    """A tokenizer in Python: its class, its vocabulary, its pieces' scores, and what is switched on in it."""
    model = getattr(tokenizer, "sp_model", None)
    settings = {k: v for k, v in tokenizer.init_kwargs.items() if isinstance(v, bool) and k not in _PLACES}
    return {
        "class": type(tokenizer).__name__,
        "vocabulary": sorted(tokenizer.get_vocab().items()),
        "pieces": None if model is None else hashlib.sha256(model.serialized_model_proto()).hexdigest(),
        "settings": settings,
    }


_PLACES = ("is_local", "local_files_only")
