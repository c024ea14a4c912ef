"""What a model is: a classifier, or a language model of one of three kinds."""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Any

from torch import nn
from transformers.models.auto import modeling_auto

from polypatch.errors import UnsupportedModelError


class ModelKind(StrEnum):
    """What a model's head is for."""

    CLASSIFIER = "classifier"
    CAUSAL = "causal"
    """A language model that goes on with a text."""
    SEQ2SEQ = "seq2seq"
    """A language model that reads a text and writes another."""
    MASKED = "masked"
    """A language model that fills a gap."""

    @property
    def writes(self) -> bool:
        """Whether it answers in words of its own, at every position, and not with a class."""
        return self is not ModelKind.CLASSIFIER


AUTO_CLASSES = {
    ModelKind.CLASSIFIER: "AutoModelForSequenceClassification",
    ModelKind.CAUSAL: "AutoModelForCausalLM",
    ModelKind.SEQ2SEQ: "AutoModelForSeq2SeqLM",
    ModelKind.MASKED: "AutoModelForMaskedLM",
}
"""What transformers loads them with."""

_NAMES = {
    ModelKind.SEQ2SEQ: modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    ModelKind.CAUSAL: modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    ModelKind.MASKED: modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
}
"""In this order: BART's one class with a language model's head is in transformers' tables of all three."""


def kind_of(model: nn.Module) -> ModelKind:
    """The kind of a model, by its class; one that reads and writes in one pass is causal, whatever table it is in.

    Raises:
        UnsupportedModelError: it has neither a classification head nor a language model's.
    """
    kind = kind_of_class(type(model).__name__)
    config: Any = getattr(model, "config", None)
    one_pass = kind is ModelKind.SEQ2SEQ and getattr(config, "is_encoder_decoder", None) is False
    return ModelKind.CAUSAL if one_pass else kind


def kind_of_class(name: str) -> ModelKind:
    """The same by the name of the class."""
    if name.endswith("ForSequenceClassification"):
        return ModelKind.CLASSIFIER
    found = next((kind for kind, names in _NAMES.items() if name in _classes(names)), None)
    if found is None:
        raise UnsupportedModelError(
            f"{name} has no head that answers: no classification head, and no language model's. Load the checkpoint "
            f"with {', '.join(AUTO_CLASSES.values())}."
        )
    return found


def settled(model: nn.Module) -> dict[str, Any]:
    """What every pass of a language model is told beside its tokens: to keep nothing for the next token."""
    parameters = inspect.signature(type(model).forward).parameters
    return {"use_cache": False} if kind_of(model).writes and "use_cache" in parameters else {}


def _classes(names: Any) -> set[str]:
    found: set[str] = set()
    for name in names.values():
        found.update([name] if isinstance(name, str) else name)
    return found
