"""THE TABLE of training presets: the two columns of the MPN paper's Table 4, a row each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from polypatch.data.xnli import LABELS as XNLI_LABELS
from polypatch.errors import InputError

EPS_MEANINGS = ("entropy", "label-smoothing", "adam-epsilon")
"""What ``eps`` can be; the first is the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperParameters:
    """The hyper-parameters of one fine-tuning: all that ``--set`` can change.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows per optimiser step, over all devices together.
        learning_rate: AdamW's, at the end of the warm-up; from there it falls linearly to 0 at the last step.
        max_length: tokens that a text or a pair is cut to.
        weight_decay: AdamW's (decoupled), not on biases and layer norms.
        warmup_steps: steps in which the learning rate rises from 0.
        eps: Table 4's "eps", which no text of the paper explains.
        eps_means: what it is: ``entropy``, the loss is cross-entropy minus eps times the entropy of the output;
            ``label-smoothing``, the loss is cross-entropy with labels smoothed by eps; ``adam-epsilon``, AdamW's term
            in the denominator (1e-8 else).
        clip_norm: the gradient's norm is cut to this; 0 for never.

    Raises:
        InputError: a value that no training can have.

    **Deviates:** the released script plans its schedule for 10,000 steps, whatever the run's length; ours ends with the
    run. It draws eps as a bonus for the output's entropy, and that is our default. ``clip_norm`` is not in the table.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int
    weight_decay: float
    warmup_steps: int
    eps: float
    eps_means: str = EPS_MEANINGS[0]
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("max_length", 3), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it is at least {least}")
        for name in ("learning_rate", "weight_decay", "eps", "clip_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; it is a number and not negative")
        if self.eps_means not in EPS_MEANINGS:
            raise InputError(f"eps_means is {self.eps_means!r}; it is one of {', '.join(EPS_MEANINGS)}")
        if self.eps_means == "label-smoothing" and self.eps > 1:
            raise InputError(f"eps is {self.eps}; labels can be smoothed by at most 1")

    @property
    def adam_epsilon(self) -> float:
        """The term in AdamW's denominator."""
        return self.eps if self.eps_means == "adam-epsilon" else 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One column of Table 4 ("Datasets and hyperparameter settings for training the original model").

    Attributes:
        name: the column.
        labels: the classes, in the order of their ids.
        train_rows, validation_rows, editing_rows, test_rows: sizes of its sets; None where the table has a dash.
        settings: its hyper-parameters.
        accuracy: of the paper's best model on its validation set (appendix A), in per cent.

    Source: arXiv 2401.03190, Table 4 and appendix A. The order of the labels is not in the paper: for XNLI the order in
    which its section 4.1.1 names them; for FEVER the released Transformer-Patcher has one logit whose positive side is
    SUPPORTS, which is then class 1 of two.
    """

    name: str
    labels: tuple[str, ...]
    train_rows: int
    validation_rows: int
    editing_rows: int
    test_rows: int | None
    settings: HyperParameters
    accuracy: float


PRESETS: Mapping[str, Preset] = {
    "xfever": Preset(
        name="xfever",
        labels=("REFUTES", "SUPPORTS"),
        train_rows=83_972,
        validation_rows=10_496,
        editing_rows=10_496,
        test_rows=10_444,
        settings=HyperParameters(
            epochs=20,
            batch_size=128,
            learning_rate=3e-5,
            max_length=32,
            weight_decay=0.01,
            warmup_steps=500,
            eps=0.1,
        ),
        accuracy=88.11,
    ),
    "xnli": Preset(
        name="xnli",
        labels=XNLI_LABELS,
        train_rows=392_702,
        validation_rows=2_490,
        editing_rows=5_010,
        test_rows=None,
        settings=HyperParameters(
            epochs=3,
            batch_size=64,
            learning_rate=3e-5,
            max_length=128,
            weight_decay=0.01,
            warmup_steps=500,
            eps=0.1,
        ),
        accuracy=82.8,
    ),
}
"""Name -> preset."""


def preset_named(name: str) -> Preset:
    """A row of `PRESETS`.

    Raises:
        InputError: there is no such row.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r} (known: {', '.join(PRESETS)})")
    return PRESETS[name]


def changed(preset: Preset, values: Mapping[str, Any]) -> HyperParameters:
    """The preset's settings with some replaced.

    Raises:
        InputError: a name that is no setting, or a value that no training can have.
    """
    known = [field.name for field in fields(HyperParameters)]
    unknown = next((name for name in values if name not in known), None)
    if unknown is not None:
        raise InputError(f"unknown setting {unknown!r} (known: {', '.join(known)})")
    return replace(preset.settings, **values)
