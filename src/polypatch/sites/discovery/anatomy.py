"""What discovery finds in a model: where a feed-forward layer of it reads and writes, and what the answer reads.

Plain data. It may also be written by hand, for a model in which discovery finds nothing::

    Anatomy(layer="model.layers.27", stack="model.layers", reader="model.layers.27.mlp", writer="model.layers.27.mlp",
            activation="silu", finish=Finish.ADD, place=Place.LAST)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finish(StrEnum):
    """How the writer's output ``out`` enters the layer's output h, beside the residual r."""

    ADD = "r + s·out"
    NORM_THEN_ADD = "r + s·N(out)"
    ADD_THEN_NORM = "N(r + s·out)"


class Place(StrEnum):
    """Which positions of the last layer's output the answer reads."""

    FIRST = "first"
    LAST = "last"  # the last token that is not padding
    SEVERAL = "several"  # a mean, or anything else over more than one
    EVERY = "every"  # a language model's: at each position it answers from that position


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The names inside one model, as paths from it.

    Attributes:
        layer: the module whose output h is all that the rest of the model reads of the layers below.
        top: the last layer of the stack, where `layer` is a lower one; None where it is the last itself.
        stack: the list that the layer is in.
        reader: the module that is given the query q, the input of the feed-forward layer.
        writer: the module whose output is ``out = FFN(q)``: ``writer(act(reader(q)))``. Where one module computes the
            whole FFN, gated or of experts, it is both.
        activation: the FFN's activation, a key of transformers' ``ACT2FN``.
        finish: how ``out`` enters h.
        norm: the module N of `finish`.
        scale: the number s of `finish`.
        dropout: the module that drops out ``out`` in training.
        residual: False where r is q itself, so that q is all that has to be kept.
        place: which positions of the last layer's output the answer reads.
        calls: how often the layer is called in a pass, where layers share their weights; the last call is the one.
    """

    layer: str
    stack: str
    reader: str
    writer: str
    activation: str
    finish: Finish
    place: Place
    norm: str | None = None
    scale: float = 1.0
    dropout: str | None = None
    residual: bool = True
    calls: int = 1
    top: str | None = None

    @property
    def everywhere(self) -> bool:
        """Whether patches work at every position: each may be answered from, or the layers above read it."""
        return self.place is Place.EVERY or self.top is not None
