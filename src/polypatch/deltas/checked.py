"""What every delta asks of tensors that come from a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from polypatch.errors import ArtefactError

FLOATS = (torch.float32, torch.float64)
"""What numbers may have been written as; they are kept as the model's."""


def require_tensors(
    what: str, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], whole: Collection[str] = ()
) -> None:
    """Refuse tensors that are not exactly these, of these shapes, finite, in float32 or float64; `whole` ones in int64.

    Raises:
        ArtefactError: naming the tensor; `what` begins the message where one is missing or one too many.
    """
    if set(tensors) != set(shapes):
        raise ArtefactError(f"{what} the tensors {sorted(shapes)}, found {sorted(tensors)}")
    for name, shape in shapes.items():
        tensor, kinds = tensors[name], (torch.int64,) if name in whole else FLOATS
        if tuple(tensor.shape) != shape or tensor.dtype not in kinds:
            known = " or ".join(str(kind).removeprefix("torch.") for kind in kinds)
            raise ArtefactError(f"{name} should be {known} {shape}, is {tensor.dtype} {tuple(tensor.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise ArtefactError(f"{name} holds numbers that are not finite")
