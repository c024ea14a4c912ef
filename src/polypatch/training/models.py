"""The model that a training starts from: a checkpoint, or a small new BERT with a WordPiece of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerBase,
)

from polypatch.data.quoting import listed
from polypatch.errors import DataError, InputError, UnsupportedModelError
from polypatch.training.data import Corpus
from polypatch.world.bert import start_weights
from polypatch.world.tokenizer import train_tokenizer

NEW = "new:small"
VOCABULARY = 8000
"""Word pieces of `NEW`, at most; more only where the alphabet alone is larger."""

_SMALL = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}

LIKE: Mapping[str, Mapping[str, int]] = {
    "mbert": {"vocab_size": 119_547},
    "mbert-uncased": {"vocab_size": 105_879},
}
"""Sizes of well-known models, for a dry run without a download: what differs from `BertConfig`'s 12 layers of 768."""


def start_model(
    name: str, corpus: Corpus, *, max_length: int, seed: int
) -> tuple[nn.Module, PreTrainedTokenizerBase, int]:
    """The classifier to train, its tokenizer, and how many tokens a text is cut to.

    A checkpoint without a classification head gets a new one, and so does one whose head has another number of classes.
    The caller's random state stays as it was.

    Args:
        name: a checkpoint folder, a hub name, or ``new:small``.
        corpus: its labels become the model's; ``new:small`` learns its vocabulary from its training texts.
        max_length: longest input in tokens; less where the model cannot read as many.
        seed: of new weights.

    Raises:
        DataError: no such checkpoint.
        UnsupportedModelError: an architecture that `polypatch edit` cannot edit, or an encoder without weights.
        InputError: the checkpoint was trained for other labels.
    """
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        if name == NEW:
            tokenizer = train_tokenizer(corpus.texts(), VOCABULARY, max_length)
            model: nn.Module = BertForSequenceClassification(
                start_config(name, corpus.labels, len(tokenizer), max_length)
            )
            start_weights(model)  # else a model as narrow as this one learns nothing for hundreds of steps
        else:
            model, tokenizer = _loaded(name, corpus.labels)
    return model, tokenizer, min(max_length, longest_input(model.config, tokenizer))


def start_config(name: str, labels: Sequence[str], vocabulary: int = VOCABULARY, max_length: int = 128) -> Any:
    """The configuration of a model to train, with its labels: of ``new:small``, a row of `LIKE`, or a checkpoint."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    if name == NEW:
        return BertConfig(vocab_size=vocabulary, max_position_embeddings=max_length, pad_token_id=0, **_SMALL, **names)
    if name in LIKE:
        return BertConfig(**LIKE[name], **names)
    config = _config(name)
    config.id2label, config.label2id = names["id2label"], names["label2id"]
    return config


def parameters_of(config: Any) -> int:
    """How many numbers a classifier has, without making one."""
    with torch.device("meta"):
        model = AutoModelForSequenceClassification._model_mapping[type(config)](config)
    return sum(parameter.numel() for parameter in model.parameters())


def longest_input(config: Any, tokenizer: PreTrainedTokenizerBase | None = None) -> int:
    """Tokens that a model can read at most."""
    positions = int(config.max_position_embeddings)
    if "roberta" in config.model_type:
        positions -= int(config.pad_token_id) + 1  # positions are counted from there
    return positions if tokenizer is None else min(positions, int(tokenizer.model_max_length))


def _config(name: str) -> Any:
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # a damaged file raises whatever its parser stumbles over
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: neither a checkpoint folder nor a model the hub can give ({reason})") from error
    if type(config) not in AutoModelForSequenceClassification._model_mapping:
        raise UnsupportedModelError(f"{name}: transformers has no sequence classifier of {config.model_type!r}")
    return config


def _loaded(name: str, labels: Sequence[str]) -> tuple[nn.Module, PreTrainedTokenizerBase]:
    own = [str(label) for _, label in sorted(_config(name).id2label.items())]
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            name,
            config=start_config(name, labels),
            trust_remote_code=False,
            weights_only=True,
            dtype="float32",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # a head with another number of classes, which gets new weights
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: its weights or its tokenizer cannot be read ({reason})") from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise DataError(f"{name}: no tokenizer files in it; save the model's tokenizer there with save_pretrained")
    new = {*report["missing_keys"], *(str(key[0]) for key in report["mismatched_keys"])}
    _require_encoder(name, model, new)
    generic = all(label.startswith("LABEL_") for label in own)
    if not new and not generic and own != list(labels):
        raise InputError(
            f"{name}: was trained for the labels {listed(own)}, not {listed(labels)}; give its own by --labels, or "
            f"a checkpoint without a classification head"
        )
    return model, tokenizer


def _require_encoder(name: str, model: nn.Module, new: set[str]) -> None:
    """Refuse an encoder that transformers filled with noise. A pooler may be new: not every pre-training has one."""
    prefix = f"{model.base_model_prefix}."
    lost = sorted(key for key in new if key.startswith(prefix) and ".pooler." not in key)
    if lost:
        raise UnsupportedModelError(
            f"{name}: the checkpoint lacks weights of the encoder ({listed(lost)}); give a pre-trained one, or {NEW}"
        )
