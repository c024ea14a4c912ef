"""How much memory a training needs, by a formula that says what it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GIB = 2**30
_FULL, _HALF, _MASK = 4, 2, 1
"""Bytes of a float32, of a bf16 or fp16, and of an element of a dropout mask."""

FORMULA = (
    "weights 4P + gradients 4P + Adam's two moments 8P bytes; activations kept for the backward pass, per token and "
    "layer: 8h + 2f numbers and 2h mask bytes, and the attention matrices' 3as numbers and as mask bytes, "
    "which fused attention does not keep (P parameters, hidden size h, feed-forward size f, a heads, s tokens per text)"
)


_WIDTHS = ("intermediate_size", "hidden_dim", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size")
"""What configurations call the inner width of a feed-forward layer; where none does, it is 4h."""


@dataclass(frozen=True, slots=True)
class MemoryNeeded:
    """Bytes on one device; what the framework and the driver take comes on top (about 1 GiB on a GPU).

    Attributes:
        weights, gradients, adam: of the parameters, float32 also in mixed precision; there the weights' half copies are
            counted with the weights.
        activations: kept between the forward and the backward pass of one batch on one device.
    """

    weights: int
    gradients: int
    adam: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.adam + self.activations

    def __str__(self) -> str:
        parts = ("weights", "gradients", "adam", "activations")
        named = " + ".join(f"{name} {getattr(self, name) / GIB:.2f}" for name in parts)
        return f"{self.total / GIB:.2f} GiB = {named}"


def estimate(config: Any, parameters: int, *, batch: int, length: int, half: bool = False) -> MemoryNeeded:
    """`FORMULA` for one batch on one device, every text of full length.

    Args:
        config: of a sequence classifier.
        parameters: of the classifier.
        batch: texts in one forward pass on one device.
        length: tokens per text.
        half: mixed precision (bf16 or fp16): activations of two bytes, and half copies of the weights.

    Counted per token and layer, in numbers: the queries, keys and values 3h, what they are computed from h, the
    attention's result h, the two residual sums 2h and the norm between them h, the feed-forward layer before and
    after its activation 2f; masks of two dropouts 2h. Embeddings and the head are left out: less than one
    layer's worth. Within a tenth of what autograd keeps on a CPU, which has no fused attention with dropout.
    """
    hidden, layers, heads = config.hidden_size, config.num_hidden_layers, config.num_attention_heads
    width = next((getattr(config, name) for name in _WIDTHS if getattr(config, name, None)), 4 * hidden)
    number = _HALF if half else _FULL
    per_token = number * (8 * hidden + 2 * width) + _MASK * 2 * hidden
    attention = heads * length * (3 * number + _MASK)
    return MemoryNeeded(
        weights=parameters * (_FULL + (_HALF if half else 0)),
        gradients=parameters * _FULL,
        adam=parameters * 2 * _FULL,
        activations=batch * length * layers * (per_token + attention),
    )
