"""The classes of a head: as many as it has logits, or two where it has one.

A head with one logit z says how likely its class is: σ(z). That is the softmax of (0, z), so it is a classifier of two
classes, the second of which is said where ``z > 0``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional


def two_classes(logits: Tensor) -> Tensor:
    """Logits [n, 1] as those of two classes, (0, z) [n, 2]; others as they are."""
    return functional.pad(logits, (1, 0)) if logits.shape[-1] == 1 else logits


def labels_of(model: nn.Module) -> dict[int, str]:
    """Class index -> label, in the order of the classes, from a model's configuration.

    A head with one logit has ``LABEL_0`` and ``LABEL_1``; or, where its one label has a name of its own, ``not NAME``
    and ``NAME``.
    """
    config: Any = model.config
    labels = {int(i): str(name) for i, name in sorted(config.id2label.items())}
    if len(labels) > 1:
        return labels
    (name,) = labels.values()
    return {0: "LABEL_0", 1: "LABEL_1"} if name == "LABEL_0" else {0: f"not {name}", 1: name}
