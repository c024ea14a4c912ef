"""Which models can be edited: the message of a refusal says what was looked for."""

from __future__ import annotations

import torch
from torch import nn

from polypatch.errors import InputError, UnsupportedModelError
from polypatch.sites.families import FAMILIES, Family

MARK = "_carries_polypatch_edits"
"""Set on a model as long as edits are attached to it."""

PRECISIONS = (torch.float32, torch.float64)
"""What a model's numbers may be kept as: edits and queries are kept as the same."""


def require_precision(model: nn.Module) -> None:
    """Refuse a model in half precision, of which some answers hang on rounding.

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


def family_of(model: nn.Module) -> Family:
    """The model's row of the table.

    Raises:
        UnsupportedModelError: it has none, no head of two classes or more, or computes its FFN in chunks.
    """
    config = getattr(model, "config", None)
    model_type = getattr(config, "model_type", None)
    if model_type not in FAMILIES:
        raise UnsupportedModelError(
            f"{type(model).__name__} (model_type {model_type!r}) has no entry in the table of families; "
            f"looked for one of {', '.join(sorted(FAMILIES))}. Add a row to sites/families.py."
        )
    family = FAMILIES[model_type]
    if not isinstance(model, family.architecture):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no classification head polypatch can read; looked for "
            f"{family.architecture.__name__}. Load the checkpoint with AutoModelForSequenceClassification."
        )
    if (kind := getattr(model.config, "problem_type", None)) not in (None, "single_label_classification"):
        raise UnsupportedModelError(
            f"{type(model).__name__} has problem_type={kind!r}: an edit gives a text one class, and this head gives it "
            "several or a number. If the head does choose one class, set model.config.problem_type to "
            "'single_label_classification'."
        )
    if model.config.num_labels < 2:  # type: ignore[union-attr, operator]
        raise UnsupportedModelError(
            f"{type(model).__name__} has num_labels={model.config.num_labels}; a classifier of at least two "  # type: ignore[union-attr]
            "classes is needed (a head with one logit is a regression head)."
        )
    if getattr(model.config, "chunk_size_feed_forward", 0):
        raise UnsupportedModelError("config.chunk_size_feed_forward must be 0: the patch is applied to whole sequences")
    return family
