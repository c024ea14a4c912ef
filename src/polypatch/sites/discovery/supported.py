"""Which models can be edited: the message of a refusal says what was looked for."""

from __future__ import annotations

import torch
from torch import nn

from polypatch.errors import InputError, UnsupportedModelError
from polypatch.sites.network.model_kind import ModelKind, kind_of

MARK = "_carries_polypatch_edits"
"""Set on a model as long as edits are attached to it."""

PRECISIONS = (torch.float32, torch.float64)
"""What a model's numbers may be kept as: edits and queries are kept as the same."""


def require_precision(model: nn.Module) -> None:
    """Refuse a model in half precision, of which some answers hang on rounding.

    With float32 behind the query of a model in bfloat16, 6 of 1,200 texts of MASSIVE (a BERT of 3 layers, 60 classes)
    get another answer than from the model itself; in float32 throughout, the same weights change 3. So no edit could
    promise what it does elsewhere.

    Raises:
        UnsupportedModelError: a parameter is neither float32 nor float64, or they differ.
    """
    kinds: dict[torch.dtype, str] = {}
    for name, parameter in model.named_parameters():
        kinds.setdefault(parameter.dtype, name)
    wrong = [dtype for dtype in kinds if dtype not in PRECISIONS] or list(kinds)[1:]
    if wrong:
        raise UnsupportedModelError(
            f"{type(model).__name__} has its parameter {kinds[wrong[0]]!r} in {wrong[0]}; edits need a model that is "
            'in float32 (or float64) throughout: load it with dtype="float32", or call model.float()'
        )


def require_free(model: nn.Module) -> None:
    """Refuse a model that carries edits: those of two would silently add up.

    Raises:
        InputError: it does.
    """
    if getattr(model, MARK, False):
        raise InputError("the model carries edits already; call unload() on its EditedModel first")


def require_answering(model: nn.Module) -> ModelKind:
    """The kind of a model that can be edited; refuses one that gives a text no answer, several, or a number.

    A head with one logit says how likely its class is; it counts as two classes (`polypatch.sites.layers.two_classes`).

    Raises:
        UnsupportedModelError: it does, or it computes its FFN in chunks.
    """
    kind, config = kind_of(model), getattr(model, "config", None)
    if kind is ModelKind.CLASSIFIER:
        _require_one_class(model, config)
    if getattr(config, "chunk_size_feed_forward", 0):
        raise UnsupportedModelError("config.chunk_size_feed_forward must be 0: the patch is applied to whole sequences")
    return kind


def _require_one_class(model: nn.Module, config: object) -> None:
    if not getattr(config, "id2label", None):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no classification head. Load the checkpoint with "
            "AutoModelForSequenceClassification."
        )
    if (kind := getattr(config, "problem_type", None)) not in (None, "single_label_classification"):
        raise UnsupportedModelError(
            f"{type(model).__name__} has problem_type={kind!r}: an edit gives a text one class, and this head gives it "
            "several or a number. If the head does choose one class, set model.config.problem_type to "
            "'single_label_classification'."
        )
